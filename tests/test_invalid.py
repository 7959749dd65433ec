"""Every rule of FORMAT.md about what must be rejected has a vector, and both decoders reject it by that name."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

import cae.bitstream
from cae.bitstream import errors, limits
from cae.codec.model.weights import find_weights
from cae.codec.torch_codec import load_codec

FOLDER = Path(__file__).parent / "vectors" / "invalid"
VECTORS: list[dict[str, str]] = [
    case for path in sorted(FOLDER.glob("*.json")) for case in json.loads(path.read_text(encoding="utf-8"))
]
FORMAT = (Path(cae.bitstream.__path__[0]) / "FORMAT.md").read_text(encoding="utf-8")
reference = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("reference_decoder.py"))))


def section(number: int) -> list[tuple[str, str]]:
    """The rows of the table in a section: what stands left and right of the gap."""
    text = re.split(r"^## ", FORMAT, flags=re.MULTILINE)[number]
    rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.startswith("    ")]
    return [(row[0], row[-1]) for row in rows]


RULES = dict(section(9))
LIMITS = dict(section(5))


@pytest.fixture(scope="module")
def weights() -> object:
    return reference.Weights(find_weights().path.read_bytes())


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_is_rejected(case: dict[str, str], weights: object) -> None:
    data = bytes.fromhex(case["file"])
    with pytest.raises(errors.CaeError) as caught:
        load_codec("cpu").decode(data, max_pixels=limits.MAX_PIXELS)
    assert type(caught.value).__name__ == case["error"]
    assert str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(reference.Rejected) as rejected:
        reference.decode(data, weights)
    assert rejected.value.error == case["error"]


def test_every_rule_has_a_vector() -> None:
    assert len(RULES) >= 18
    named = {(case["rule"], case["error"]) for case in VECTORS if not case["rule"].startswith("limit: ")}
    assert named == set(RULES.items()) - {("a size, length or count beyond section 5", "LimitError")}


def test_every_limit_has_a_vector() -> None:
    named = {case["rule"].removeprefix("limit: ") for case in VECTORS if case["rule"].startswith("limit: ")}
    # No payload can hold a symbol beyond its limit: there are no more than 20 classes of them.
    assert named == set(LIMITS) - {"|symbol|"}
    assert {case["error"] for case in VECTORS if case["rule"].startswith("limit: ")} == {"LimitError"}


def test_every_error_has_a_vector() -> None:
    named = {case["error"] for case in VECTORS}
    assert named == {error.__name__ for error in errors.BitstreamError.__subclasses__()} | {"WrongWeightsError"}


def test_limits_are_those_of_the_format() -> None:
    assert LIMITS["width, height"] == f"1 .. 2^{limits.MAX_SIDE.bit_length() - 1}"
    assert LIMITS["width x height"] == f"at most 2^{limits.MAX_PIXELS.bit_length() - 1}"
    assert LIMITS["number of chunks"] == f"at most {limits.MAX_CHUNKS}"
    assert LIMITS["length of a chunk"] == f"at most 2^{limits.MAX_CHUNK_BYTES.bit_length() - 1}"
    assert LIMITS["length of a payload"] == f"at most 2^{limits.MAX_PAYLOAD_BYTES.bit_length() - 1}"
    assert LIMITS["cells of a tile"].startswith(f"at most {limits.FREE_CELLS} + the length of its payload")
    assert f"1 .. {limits.MAX_TILE} (encoders" in FORMAT
    assert f"tile <= {limits.SAFE_TILE} it cannot" in FORMAT
    for power in (limits.MAX_SIDE, limits.MAX_PIXELS, limits.MAX_CHUNK_BYTES, limits.MAX_PAYLOAD_BYTES):
        assert power.bit_count() == 1
