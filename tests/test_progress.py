"""The line that says how far a command has come."""

from __future__ import annotations

import contextlib
import sys

import pytest

from cae.cli.progress import progress


def shown(capsys: pytest.CaptureFixture[str], *, quiet: bool, tiles: int) -> str:
    with progress(quiet) as report:
        for done in range(tiles):
            report(done + 1, tiles)
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_only_on_a_terminal_and_for_several_tiles(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(capsys, quiet=False, tiles=4) == ""
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True, raising=False)
    assert shown(capsys, quiet=True, tiles=4) == ""
    assert shown(capsys, quiet=False, tiles=1) == ""
    line = shown(capsys, quiet=False, tiles=4)
    assert line.startswith("\r1 of 4 tiles (25 %)\r2 of 4 tiles (50 %)")
    assert line.endswith("\r4 of 4 tiles (100 %)\r\033[K")


def test_the_line_goes_away_where_a_command_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True, raising=False)
    with contextlib.suppress(KeyboardInterrupt), progress(False) as report:
        report(1, 9)
        raise KeyboardInterrupt
    assert capsys.readouterr().err.endswith("\r\033[K")
