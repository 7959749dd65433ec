"""`cae completion`: scripts for shells that complete the command's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that lets SHELL (bash, zsh or fish) complete cae's commands and options.

    Put it where the shell reads it: `cae completion bash > ~/.local/share/bash-completion/completions/cae`, `cae
    completion zsh > ~/.zfunc/_cae`, `cae completion fish > ~/.config/fish/completions/cae.fish`."""
    program = click.get_current_context().find_root()
    found = get_completion_class(shell)
    assert found is not None  # click has these three
    click.echo(found(program.command, {}, "cae", "_CAE_COMPLETE").source())
