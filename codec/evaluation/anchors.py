"""Published rate-distortion points of the Kodak images, to be drawn behind measured ones."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

from ...bitstream.errors import InputError
from .curve import Curve, Point


@dataclass(frozen=True)
class Anchor:
    """A published curve of means over the Kodak images. points: bits per pixel and RGB PSNR in dB. label: its name in
    plots, None if it is not in them."""

    codec: str
    source: str
    points: tuple[Point, ...]
    label: str | None

    @property
    def curve(self) -> Curve:
        """The curve interpolated between its points."""
        return Curve(self.points)


@functools.cache
def _contents() -> tuple[frozenset[str], tuple[Anchor, ...]]:
    text = resources.files("cae.codec.evaluation").joinpath("anchors.json").read_text(encoding="utf-8")
    values = json.loads(text)
    return frozenset(values["images"]), tuple(
        Anchor(curve["codec"], curve["source"], tuple(map(Point, curve["bpp"], curve["psnr_rgb"])), curve.get("label"))
        for curve in values["curves"]
    )


def anchors() -> tuple[Anchor, ...]:
    """All published curves."""
    return _contents()[1]


def drawn(curves: Iterable[Anchor]) -> list[Anchor]:
    """The curves that plots show, those with a label, by their PSNR at 0.5 bpp, the best first."""
    return sorted((anchor for anchor in curves if anchor.label), key=lambda anchor: -anchor.curve.value_at(0.5))


def check_images(hashes: Iterable[str]) -> None:
    """Raises InputError unless these are the digests (`images.digest`) of exactly the 24 Kodak images."""
    given = list(hashes)
    known = _contents()[0]
    if len(given) != len(known) or set(given) != known:
        found = len(known & set(given))
        raise InputError(
            f"the anchors are of the {len(known)} Kodak images at 768x512, "
            f"among these {len(given)} images are {found} of them; a comparison would mean nothing"
        )
