"""Packages that only some commands need."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from .failures import UNEXPECTED, Failure

EVALUATION = ("bjontegaard", "matplotlib", "pytorch_msssim", "scipy", "ssimulacra2")
"""Modules of the extra `eval` that measuring needs."""

TRAINING = ("bjontegaard", "matplotlib", "pytorch_msssim", "safetensors", "scipy")
"""Modules of the extra `train` that training needs."""


def check_evaluation(command: str) -> None:
    """Raises Failure with what to install, unless all of EVALUATION are there."""
    _check(command, "eval", EVALUATION)


def check_training(command: str) -> None:
    """Raises Failure with what to install, unless all of TRAINING are there."""
    _check(command, "train", TRAINING)


def _check(command: str, extra: str, modules: Iterable[str]) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        line = (
            f'{command} needs the extra "{extra}", to be installed as the package was: pip install ".[{extra}]" '
            f"(missing: {', '.join(missing)})"
        )
        raise Failure(line, UNEXPECTED)
