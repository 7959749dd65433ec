"""A slider of a web page: two of several pictures one over the other, with a handle between them and a zoom.

The pictures may be of any kind: originals, decoded ones, differences. A page has `STYLE` and `SCRIPT` once.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

PAGE = resources.files("cae.codec.evaluation") / "page"
STYLE = (PAGE / "slider.css").read_text(encoding="utf-8")
SCRIPT = (PAGE / "slider.js").read_text(encoding="utf-8")
_SIDES = ("left", "right")


class Frame(NamedTuple):
    """A rectangle around a place in a picture, in pixels, and a note about it."""

    x: int
    y: int
    width: int
    height: int
    note: str


@dataclass(frozen=True)
class SliderImage:
    """A picture of a slider. note: a few words; data: a file that browsers show; media_type: such as image/webp."""

    label: str
    note: str
    data: bytes
    media_type: str
    frame: Frame | None = None

    @classmethod
    def lossless(cls, label: str, note: str, pixels: npt.NDArray[np.uint8], frame: Frame | None = None) -> SliderImage:
        """A picture of pixels, uint8 [H, W, 3], in lossless WebP, which every browser shows."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=30, method=2)
        return cls(label, note, buffer.getvalue(), "image/webp", frame)


def slider(
    images: Sequence[SliderImage], width: int, height: int, left: int = 0, right: int = 1, framed: str = "frame"
) -> str:
    """HTML of a slider over pictures of width x height pixels. left, right: the indices of the two that are shown
    first; framed: the label of the switch that shows and hides frames. Raises ValueError for fewer than two pictures.

    A frame shows on both sides of the handle."""
    if len(images) < 2:
        raise ValueError("a slider takes two pictures at least")
    sides = "".join(
        f'<label class="slider-side"><span class="slider-name">{side}</span><select data-side="{side}">'
        + "".join(
            f'<option value="{index}"{" selected" if index == chosen else ""}>{escape(image.label)}</option>'
            for index, image in enumerate(images)
        )
        + f'</select><span class="slider-note" data-note="{side}"></span></label>'
        for side, chosen in zip(_SIDES, (left, right), strict=True)
    )
    zooms = "".join(
        f'<button type="button" data-zoom="{zoom}" aria-pressed="{str(zoom == "fit").lower()}">{text}</button>'
        for zoom, text in (("fit", "fit"), ("1", "1:1"), ("2", "2x"), ("4", "4x"))
    )
    sources = "".join(
        f'<img data-picture="{index}" data-note="{escape(image.note)}" {_frame_data(image.frame)}'
        f'alt="{escape(image.label)}" hidden '
        f'src="data:{image.media_type};base64,{base64.b64encode(image.data).decode()}">'
        for index, image in enumerate(images)
    )
    switch = ""
    if any(image.frame for image in images):
        notes = "".join(f'<span class="slider-frame-note" data-frame-note="{side}"></span>' for side in _SIDES)
        switch = (
            '<div class="slider-frames"><label><input type="checkbox" checked autocomplete="off"> '
            f"{escape(framed)}</label>{notes}</div>"
        )
    return (
        f'<div class="slider" data-width="{width}" data-height="{height}">'
        f'<div class="slider-bar">{sides}<span class="slider-zooms" role="group" aria-label="zoom">{zooms}</span></div>'
        f'<div class="slider-stage" style="aspect-ratio: {width} / {height}">'
        '<div class="slider-layer" data-layer="right"><img alt=""></div>'
        '<div class="slider-layer" data-layer="left"><img alt=""></div>'
        + "".join(f'<div class="slider-frame" data-frame="{side}" hidden></div>' for side in _SIDES)
        + '<div class="slider-handle" role="slider" tabindex="0" aria-label="where left ends and right begins" '
        'aria-valuemin="0" aria-valuemax="100" aria-valuenow="50"></div></div>'
        f'{switch}<div class="slider-sources">{sources}</div></div>'
    )


def _frame_data(frame: Frame | None) -> str:
    if frame is None:
        return ""
    return f'data-framed="{" ".join(map(str, frame[:4]))}" data-framed-note="{escape(frame.note)}" '
