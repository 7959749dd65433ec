"""The encoder's options: one set of them for Python, the command line and Pillow, and what is refused."""

from __future__ import annotations

import math
import pickle
from dataclasses import fields
from inspect import signature
from typing import Any

import pytest

import cae
import cae.pillow
from cae.bitstream.errors import InputError
from cae.cli.encode import encode
from cae.codec.encode.options import TARGETS, EncodeOptions

NAMES = {field.name for field in fields(EncodeOptions)}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"quality": -1}, "quality must be between 0 and 100, not -1"),
        ({"quality": 100.5}, "quality must be between 0 and 100, not 100.5"),
        ({"quality": math.nan}, "quality must be between 0 and 100, not nan"),
        ({"target_size": 0}, "a size is at least 1 byte, not 0"),
        ({"target_size": math.inf}, "a size is at least 1 byte, not inf"),
        ({"target_bpp": 0.0}, "a rate is a positive number of bits per pixel, not 0.0"),
        ({"target_bpp": math.nan}, "a rate is a positive number of bits per pixel, not nan"),
        ({"target_psnr": math.nan}, "a PSNR is a number of dB, not nan"),
        ({"target_size": 5000, "target_psnr": 30}, "give target_size or target_psnr, not both"),
        ({"target_bpp": 1.0, "target_psnr": 30}, "give target_bpp or target_psnr, not both"),
        ({"effort": 0}, "the effort is a whole number from 1 to 9, not 0"),
        ({"effort": 10}, "the effort is a whole number from 1 to 9, not 10"),
        ({"effort": 2.0}, "the effort is a whole number from 1 to 9, not 2.0"),
        ({"effort": "2"}, "the effort is a whole number from 1 to 9, not '2'"),
        ({"device": "abacus"}, "device must be auto, cpu or cuda, not abacus"),
    ],
)
def test_what_is_out_of_range_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        EncodeOptions(**asked)
    assert str(refused.value) == message


def test_options_are_refused_before_the_image_is_read() -> None:
    with pytest.raises(InputError, match="effort"):
        cae.encode("no such file", effort=0)


def test_a_target_leaves_the_quality_without_meaning() -> None:
    for target in TARGETS:
        options = EncodeOptions(quality=200, effort=5, exact=True, **{target: 30})
        assert options.has_target
        trial = options.at(40)
        assert not trial.has_target
        assert trial == EncodeOptions(quality=40, effort=5, exact=True)
    assert not EncodeOptions().has_target
    with pytest.raises(InputError, match="quality"):
        EncodeOptions(target_psnr=30).at(101)


def test_options_go_to_other_processes() -> None:
    options = EncodeOptions(target_bpp=0.5, effort=1, strip=True)
    assert pickle.loads(pickle.dumps(options)) == options


def test_all_ways_in_have_the_same_options() -> None:
    parameters = signature(cae.encode).parameters
    assert NAMES - set(parameters) == {"strip", "target_bpp"}
    asked = encode.make_context("encode", ["in.png", "out.cae"]).params
    assert set(asked) >= NAMES
    for field in fields(EncodeOptions):
        assert asked[field.name] == field.default
        if field.name in parameters:
            assert parameters[field.name].default == field.default
    assert set(cae.pillow._KEYWORDS) == {"quality", "target_size", "target_psnr", "effort", "patches", "exact"}
