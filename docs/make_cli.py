"""Makes cli.md from the commands. Run it after changing one; a test compares.

Usage: python docs/make_cli.py
"""

from __future__ import annotations

from pathlib import Path

import click

from cae.cli.failures import EXPLANATION
from cae.cli.main import main as cae


def document() -> str:
    """The text of cli.md."""
    parts = [
        "# Commands",
        "Made from the commands by `docs/make_cli.py`; `cae COMMAND --help` says the same, with the ranges of numbers.",
        EXPLANATION,
    ]
    context = click.Context(cae, info_name="cae")
    for name in cae.list_commands(context):
        command = cae.commands[name]
        parts += [f"## cae {name}", f"```\n{_usage(name, command)}\n```", _paragraphs(command.help or "")]
        rows = [_row(param) for param in command.params if isinstance(param, click.Option)]
        if rows:
            parts.append("\n".join(["| option | what it does | default |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _usage(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"cae {name}")
    return f"cae {name} " + " ".join(command.collect_usage_pieces(context))


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _row(option: click.Option) -> str:
    value = option.metavar
    if value is None and isinstance(option.type, click.Choice):
        value = " or ".join(str(choice) for choice in option.type.choices)
    elif value is None and not option.is_flag:
        value = option.type.name.upper()
    names = ", ".join(f"`{name}`" for name in sorted(option.opts, key=len))
    default = f"{option.default}" if option.show_default and not option.is_flag else ""
    default = "required" if option.required else default
    cells = (f"{names}{f' {value}' if value else ''}", option.help or "", default)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    (Path(__file__).parent / "cli.md").write_text(document(), encoding="utf-8")
