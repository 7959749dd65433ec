"""The command `cae`. Its commands import torch, numpy and Pillow only when run, so that help comes at once."""

from __future__ import annotations

import errno
import logging
import signal
import sys
from io import TextIOWrapper
from types import FrameType

import click

from .compare import compare
from .completion import completion
from .decode import decode
from .encode import encode
from .failures import EXPLANATION, Terminated, failure, one_line, say
from .features import features
from .files import fill_closed_streams
from .freeze import freeze
from .info import info
from .plot import plot
from .rd_curve import rd_curve
from .restore import restore
from .sample import sample
from .similar import similar
from .train import train


class _Commands(click.Group):
    """A group of commands; one that fails ends with a line on stderr and an exit code."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.ClickException as exc:
            if one_line(exc.message) == exc.message:
                raise
            raise click.UsageError(one_line(exc.message), ctx) from exc
        except (click.exceptions.Exit, click.Abort):
            raise
        except (Exception, KeyboardInterrupt) as exc:
            if isinstance(exc, OSError) and exc.errno == errno.EPIPE:
                raise  # the reader of our output is gone: click ends without a message
            end = failure(exc)
            say(str(end))
            ctx.exit(end.code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXPLANATION)
@click.version_option(package_name="cae-codec", prog_name="cae", message="%(prog)s %(version)s")
def main() -> None:
    """cae, a learned image codec: photographs in fewer bytes, decoded alike on every machine."""
    fill_closed_streams()
    # Pillow logs some damages and raises an error, too: one line is enough.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    # Names of files may not be text in the terminal's encoding. stderr escapes them by default, stdout does not.
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


COMMANDS = (
    *(encode, decode, restore, info, features, similar, compare, sample),
    *(rd_curve, train, plot, freeze, completion),
)
for command in COMMANDS:
    main.add_command(command)
