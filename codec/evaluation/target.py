"""Targets: values of a metric, or rates, at which codecs are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ...bitstream.errors import InputError
from .metrics import METRICS


class Target(NamedTuple):
    """A value of a metric at which codecs are compared, or a rate in bits per pixel, whose name is "bpp"."""

    name: str
    value: float

    def __str__(self) -> str:
        """The head of a column, such as "SSIMULACRA2 70" or "0.5 bpp"."""
        return f"{self.value:g} bpp" if self.name == "bpp" else f"{METRICS[self.name].label} {self.value:g}"


def check_target(target: Target, metrics: Sequence[str]) -> None:
    """Raises InputError for a metric that is not measured, or a value that only a picture without any loss has."""
    name, value = target
    if name == "bpp":
        if value <= 0:
            raise InputError(f"bpp={value:g}: a rate is more than 0 bits per pixel")
        return
    if name not in METRICS:
        raise InputError(f"{name}={value:g}: there is no metric {name}; there are bpp, {', '.join(METRICS)}")
    if name not in metrics:
        raise InputError(f"{name}={value:g}: measured are bpp, {', '.join(metrics)}; --metrics takes others")
    if not math.isfinite(METRICS[name].curve(value)):
        raise InputError(f"{name}={value:g}: {METRICS[name].label} is below 1")
