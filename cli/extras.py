"""Packages that only some commands need."""

from __future__ import annotations

import importlib.util

from .failures import UNEXPECTED, Failure

MODULES = {
    "eval": ("bjontegaard", "matplotlib", "pytorch_msssim", "scipy", "ssimulacra2"),
    "features": ("pyarrow",),
    "train": ("bjontegaard", "matplotlib", "pytorch_msssim", "safetensors", "scipy"),
}
"""Modules of an extra that the commands which need it cannot do without."""


def check_extra(command: str, extra: str) -> None:
    """Raises Failure, which says what to install, unless all MODULES of an extra are there."""
    missing = [name for name in MODULES[extra] if importlib.util.find_spec(name) is None]
    if missing:
        line = (
            f'{command} needs the extra "{extra}", to be installed as the package was: pip install ".[{extra}]" '
            f"(missing: {', '.join(missing)})"
        )
        raise Failure(line, UNEXPECTED)
