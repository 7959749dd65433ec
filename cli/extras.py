"""Packages that only some commands need."""

from __future__ import annotations

import importlib.util

from .failures import UNEXPECTED, Failure

EVALUATION = ("bjontegaard", "matplotlib", "pytorch_msssim", "scipy", "ssimulacra2")
"""Modules of the extra `eval` without which nothing is measured."""


def check_evaluation(command: str) -> None:
    """Raises Failure with what to install, unless all of EVALUATION are there."""
    missing = [name for name in EVALUATION if importlib.util.find_spec(name) is None]
    if missing:
        line = f'{command} needs the extra "eval": pip install "cae-codec[eval]" (missing: {", ".join(missing)})'
        raise Failure(line, UNEXPECTED)
