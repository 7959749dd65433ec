"""Weights: what is shipped is whole, and what is not is refused with its reason."""

from __future__ import annotations

import hashlib
import json
import mmap
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from cae.bitstream.container import Container, Tile, pack
from cae.bitstream.errors import MissingWeightsError, WeightsError, WrongWeightsError
from cae.bitstream.header import Header
from cae.codec.model.config import ModelConfig
from cae.codec.model.integer_weights import TRAINING_ONLY, checked, load_integers, parse_integers
from cae.codec.model.weights import (
    MANIFEST,
    MAX_BYTES,
    find_weights,
    installed_weights,
    parse,
    read_weights,
    weights_folder,
)
from cae.codec.training.checkpoint import parse_trained, serialise


@pytest.fixture(scope="module")
def shipped() -> bytes:
    return find_weights().path.read_bytes()


def folder_with(folder: Path, content: bytes) -> Path:
    (folder / "w.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps({"file": "w.safetensors", "sha256": digest}))
    return folder


@pytest.mark.slow
def test_shipped_weights_are_small_and_described(shipped: bytes) -> None:
    manifest = json.loads((weights_folder() / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["sha256"] == hashlib.sha256(shipped).hexdigest()
    assert load_integers()[1] == bytes.fromhex(manifest["sha256"])[:4]
    assert {"config", "training", "kodak"} <= manifest.keys()
    assert len(shipped) < 29_000_000


@pytest.mark.slow
def test_serialise_and_parse(shipped: bytes) -> None:
    assert serialise(parse_integers(shipped, "w"), parse_trained(shipped, "w")) == shipped


def test_missing_and_damaged(tmp_path: Path, shipped: bytes) -> None:
    with pytest.raises(MissingWeightsError, match="no weights in"):
        load_integers(tmp_path)
    folder_with(tmp_path, shipped)
    path = tmp_path / "w.safetensors"
    path.write_bytes(shipped[:-1] + bytes([shipped[-1] ^ 1]))
    with pytest.raises(WeightsError, match="damaged"):
        load_integers(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(WeightsError, match="malformed"):
        load_integers(tmp_path)


@pytest.mark.slow
def test_other_files_are_refused(tmp_path: Path, shipped: bytes) -> None:
    with pytest.raises(WeightsError, match="not a file of weights"):
        load_integers(folder_with(tmp_path, b"something else"))
    tensors = load(shipped)
    config = json.dumps(ModelConfig().to_dict())
    name = next(key for key in tensors if key.startswith("prior.") and key.endswith("value.weight"))
    ratio = next(key for key in tensors if key.endswith("add.ratio"))
    rows = "prior.hyper_synthesis.rate.rows"
    for change, reason in (
        ({name: None}, f"w does not hold the tensors of this model: {name} is missing"),
        ({"extra": torch.zeros(1)}, "extra is one too many"),
        ({"pixels.levels": tensors["pixels.levels"][:, 1:].contiguous()}, "levels is"),
        ({"counts": tensors["counts"][None]}, "counts is"),
        ({"hyper_rows": tensors["hyper_rows"].int()}, "hyper_rows is int32"),
        ({"pixels.levels": tensors["pixels.levels"] * float("nan")}, "not finite"),
        ({"unit": torch.zeros_like(tensors["unit"])}, "out of range"),
        ({"inverse_unit": -tensors["inverse_unit"]}, "out of range"),
        ({"log_unit": torch.full_like(tensors["log_unit"], float("nan"))}, "not finite"),
        ({ratio: tensors[ratio] * float("inf")}, "not finite"),
        ({rows: tensors[rows].float() + 0.5}, f"{rows} is float32"),
        ({rows: torch.full_like(tensors[rows], 1024)}, f"{rows} is out of range"),
        ({"hyper_latents.logs": tensors["hyper_latents.logs"].float() + 0.5}, "logs is float32"),
        ({"hyper_latents.logs": torch.full_like(tensors["hyper_latents.logs"], -32768)}, "logs is out of range"),
        ({"latents.reach": tensors["latents.reach"] * float("nan")}, "not finite"),
        ({"latents.reach": tensors["latents.reach"] * 1e6}, "latents.reach is out of range"),
        ({"latents.gain_8": tensors["latents.gain_8"] * 1e6}, "latents.gain_8 is out of range"),
        ({ratio: -tensors[ratio]}, f"{ratio} is out of range"),
        ({"unit": tensors["unit"] * 1e-30}, "unit is out of range"),
        ({"log_unit": tensors["log_unit"] * 1e6}, "log_unit is out of range"),
        ({"worth": -tensors["worth"]}, "worth is out of range"),
        ({"rate_weight": tensors["rate_weight"] * 0}, "rate_weight is out of range"),
        ({"counts": tensors["counts"] + 1}, "sum"),
        ({"hyper_rows": tensors["hyper_rows"] * 0}, "hyper_rows is out of range"),
    ):
        changed = {key: value for key, value in (tensors | change).items() if value is not None}
        with pytest.raises(WeightsError, match=reason):
            parse_integers(save(changed, metadata={"config": config}), "w")
    with pytest.raises(WeightsError, match="configuration"):
        parse_integers(save(tensors, metadata={"config": "{}"}), "w")


def test_layers_that_are_not_exact_are_refused(shipped: bytes) -> None:
    config, tensors = parse(shipped, "w")
    integers = {name: tensor for name, tensor in tensors.items() if name.split(".")[0] not in TRAINING_ONLY}
    checked(config, integers)
    wide = "pixels.linear.middle"
    weight, bias, multiplier = (integers[f"{wide}.{key}"] for key in ("weight", "bias", "multiplier"))
    rest = 2**24 - 255 * np.abs(weight.astype(np.int64)).sum(axis=1)  # what sums have room for
    largest = np.sign(bias) * (rest - 1)
    for change, reason in (
        ({"bias": largest.astype(np.int32)}, None),
        ({"bias": np.where(np.arange(len(bias)) == 5, largest + np.sign(bias), bias).astype(np.int32)}, "too large"),
        ({"bias": np.full_like(bias, -(2**31))}, "too large"),
        ({"weight": np.full_like(weight, 127)}, "too large"),
        ({"weight": np.full_like(weight, -128), "bias": 0 * bias}, "too large"),
        ({"weight": np.where(np.arange(weight.shape[1]) == 7, -128, 0 * weight).astype(np.int8)}, "too large"),
        ({"weight": weight.astype(np.float32)}, "weight is float32"),
        ({"bias": bias.astype(np.float32) + 0.5}, "bias is float32"),
        ({"multiplier": multiplier[:-1]}, "multiplier is"),
        *(
            ({"multiplier": np.full_like(multiplier, value)}, "power of two")
            for value in (0, 3, 2.0**21, np.inf, np.nan, 2.0**-25, -1)
        ),
        ({"multiplier": np.full_like(multiplier, 2.0**-24)}, None),
        ({"multiplier": np.full_like(multiplier, 2.0**20)}, "32 bits"),
    ):
        changed = integers | {f"{wide}.{key}": values for key, values in change.items()}
        if reason is None:
            checked(config, changed)
        else:
            with pytest.raises(WeightsError, match=f"{wide}.*{reason}"):
                checked(config, changed)
    # Who takes numbers of 16 bits gives more of them.
    hyper = {f"hyper_latents.enter.{key}": integers[f"hyper_latents.enter.{key}"] for key in ("weight", "multiplier")}
    largest_sum = np.abs(hyper["hyper_latents.enter.weight"].astype(np.int64)).sum(axis=1).max()
    exponent = int(np.floor(np.log2(2**28 / largest_sum / 2**15)))
    for more, refused in ((-1, False), (1, True)):
        powers = np.full_like(hyper["hyper_latents.enter.multiplier"], 2.0 ** (exponent + more))
        changed = integers | {"hyper_latents.enter.multiplier": powers}
        if refused:
            with pytest.raises(WeightsError, match=r"hyper_latents\.enter are too large for 32 bits"):
                checked(config, changed)
        else:
            checked(config, changed)


@pytest.mark.slow
def test_several_weights_side_by_side(tmp_path: Path, shipped: bytes) -> None:
    """New files take the first, old ones find theirs by its fingerprint."""
    tensors = load(shipped)
    config = json.dumps(ModelConfig().to_dict())
    other = save(tensors | {"sigma": tensors["sigma"] * 1.5}, metadata={"config": config})
    digests = {}
    for name, content in (("new", other), ("old", shipped)):
        (tmp_path / f"{name}.safetensors").write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    entries = {name: {"file": f"{name}.safetensors", "sha256": digest} for name, digest in digests.items()}
    (tmp_path / MANIFEST).write_text(json.dumps(entries["new"] | {"older": [entries["old"]]}))
    prints = {name: bytes.fromhex(digest)[:4] for name, digest in digests.items()}
    assert [weights.fingerprint for weights in installed_weights(tmp_path)] == [prints["new"], prints["old"]]
    assert load_integers(tmp_path)[1] == prints["new"]
    assert load_integers(tmp_path, fingerprint=prints["old"])[1] == prints["old"]
    with pytest.raises(WrongWeightsError) as caught:
        load_integers(tmp_path, fingerprint=b"\1\2\3\4")
    for word in ("needs weights 01020304", str(tmp_path / MANIFEST), prints["new"].hex(), prints["old"].hex()):
        assert word in str(caught.value)
    (tmp_path / "old.safetensors").unlink()
    assert load_integers(tmp_path)[1] == prints["new"]
    with pytest.raises(MissingWeightsError, match=f"no weights {prints['old'].hex()} in"):
        load_integers(tmp_path, fingerprint=prints["old"])


@pytest.mark.parametrize(
    "manifest",
    [
        "[]",
        "{}",
        "null",
        "[" * 100_000,
        '{"file": "../w.safetensors", "sha256": "%s"}' % ("0" * 64),
        '{"file": "/etc/passwd", "sha256": "%s"}' % ("0" * 64),
        '{"file": "w.pt", "sha256": "%s"}' % ("0" * 64),
        '{"file": 5, "sha256": 5}',
        '{"file": "w.safetensors", "sha256": "00"}',
        '{"file": "w.safetensors", "sha256": "%s", "older": 5}' % ("0" * 64),
        '{"file": "w.safetensors", "sha256": "%s", "older": [5]}' % ("0" * 64),
        " " * 2_000_000,
    ],
)
def test_bad_manifests(tmp_path: Path, manifest: str) -> None:
    (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(WeightsError):
        load_integers(tmp_path)


def test_oversized_weights_are_not_read(tmp_path: Path, shipped: bytes) -> None:
    path = folder_with(tmp_path, shipped) / "w.safetensors"
    with path.open("r+b") as file:
        file.truncate(MAX_BYTES + 1)  # a hole, which takes no room
    with pytest.raises(WeightsError, match="more than"):
        load_integers(tmp_path)


@pytest.mark.parametrize("change", [{"width_8": 10**6}, {"blocks_8": 1000}, {"knots": 0.5}, {"latent_channels": "320"}])
def test_configurations_that_ask_for_too_much(shipped: bytes, change: dict[str, object]) -> None:
    config = ModelConfig().to_dict()
    data = save(load(shipped), metadata={"config": json.dumps(config | change)})
    with pytest.raises(WeightsError):
        parse_integers(data, "w")


def test_any_cut_or_changed_weights_file_is_refused(shipped: bytes) -> None:
    """Behind the SHA-256 as well: the header of the safetensors file, and its end."""
    random = np.random.default_rng(0)
    header = 8 + int.from_bytes(shipped[:8], "little")
    for length in (0, 7, 8, 100, header, header + 1000, len(shipped) - 1):
        with pytest.raises(WeightsError):
            parse_integers(shipped[:length], "w")
    for at in random.integers(0, header, 15):
        changed = bytearray(shipped[: 10**6])
        changed[at] ^= 1 << int(random.integers(8))
        with pytest.raises(WeightsError):
            parse_integers(bytes(changed), "w")


def test_weights_are_mapped_and_not_copied() -> None:
    content = read_weights(find_weights())
    assert isinstance(content, mmap.mmap)
    _, tensors = parse(content, "w")
    owner = tensors["unit"]
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    assert isinstance(owner.base, memoryview)
    assert owner.base.obj is content
    assert not any(tensor.flags.writeable for tensor in tensors.values())


@pytest.mark.parametrize(
    "entry",
    [
        {"shape": [2, 3], "data_offsets": [0, 24]},
        {"shape": [-1, 3], "data_offsets": [0, 24], "dtype": "F32"},
        {"shape": [2, 3], "data_offsets": [-24, 0], "dtype": "F32"},
        {"shape": [2, 3], "data_offsets": [8, 0], "dtype": "F32"},
        {"shape": [2, 3], "data_offsets": [8, 32], "dtype": "F32"},
        {"shape": [2, 3], "data_offsets": [0, 20], "dtype": "F32"},
        {"shape": [2, 3], "data_offsets": [0, 24, 24], "dtype": "F32"},
        {"shape": [2, 3], "data_offsets": [0, 24], "dtype": "BF16"},
        {"shape": [2, 3], "data_offsets": [0, 24], "dtype": "F32", "more": 1},
        {"shape": [2, 2], "data_offsets": [1, 17], "dtype": "F32"},
        {"shape": "ab", "data_offsets": [0, 24], "dtype": "F32"},
        5,
    ],
)
def test_tensors_that_are_not_there(shipped: bytes, entry: object) -> None:
    header = json.loads(shipped[8 : 8 + int.from_bytes(shipped[:8], "little")])
    good = {"shape": [2, 3], "data_offsets": [0, 24], "dtype": "F32"}
    for tensors, refused in (({"a": good}, False), ({"a": good, "b": entry}, True)):
        text = json.dumps({"__metadata__": header["__metadata__"], **tensors}).encode()
        text += b" " * (-len(text) % 8)
        data = len(text).to_bytes(8, "little") + text + bytes(24)
        if refused:
            with pytest.raises(WeightsError, match="w is not a file of weights"):
                parse(data, "w")
        else:
            assert parse(data, "w")[1]["a"].shape == (2, 3)


def test_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a file of weights"):
        load_integers(folder_with(tmp_path, b""))


def test_a_file_of_other_weights_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cae.cli.main import main

    path = tmp_path / "a.cae"
    path.write_bytes(pack(Container(Header(1, 1, False, 0, b"\1\2\3\4"), (), (Tile(b"", 0),))))
    with pytest.raises(SystemExit) as ended:
        main(["decode", str(path), str(tmp_path / "a.png")], prog_name="cae")
    assert ended.value.code == 5
    error = capsys.readouterr().err
    assert error.startswith(
        f"cae: {path}: the file needs weights 01020304, which {weights_folder() / MANIFEST} does not"
    )
