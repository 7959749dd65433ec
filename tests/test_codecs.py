"""The codecs of the evaluation: all behind one protocol, and CompressAI's with a stand-in for its networks."""

from __future__ import annotations

import io
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from cae.bitstream.errors import InputError, WeightsError
from cae.codec.evaluation import codecs, zoo
from cae.codec.evaluation.codecs import CODECS, TUNES, make_codec
from cae.codec.evaluation.protocol import UnavailableCodecError
from cae.codec.model.distortion import psnr
from cae.codec.model.weights import find_weights, weights_folder

Bytes = npt.NDArray[np.uint8]
HERE = [name for name in CODECS if not name.startswith("zoo")]


@pytest.mark.parametrize("name", [*HERE, "avif:speed=9"])
def test_there_and_back(name: str, photo: Bytes) -> None:
    codec = make_codec(name)
    assert codec.name == name
    low, high, step = codec.scale
    assert all(low <= quality <= high and (quality - low) % step == 0 for quality in codec.qualities)
    assert len(codec.qualities) == 8
    sizes, values = [], []
    for quality in codec.qualities[::3]:
        data = codec.encode(photo, quality)
        decoded = codec.decode(data)
        assert decoded.shape == photo.shape
        assert decoded.dtype == np.uint8
        sizes.append(len(data))
        values.append(psnr(photo, decoded))
    assert sizes == sorted(set(sizes))
    assert values == sorted(set(values))


def test_default_qualities_cover_the_usual_rates() -> None:
    """0.12 to 2 bpp on a photograph, where the format goes that low."""
    import skimage.data

    image: Bytes = skimage.data.coffee()  # type: ignore[no-untyped-call]
    for name in ("jpeg", "webp", "avif", "cae"):
        codec = make_codec(name)
        low, high = (8 * len(codec.encode(image, codec.qualities[index])) / image[..., 0].size for index in (0, -1))
        assert low < 0.13, name
        assert high > 1.6, name


def test_options_change_the_settings() -> None:
    assert make_codec("avif:speed=3").settings["speed"] == 3
    assert make_codec("avif").settings["speed"] == 6
    assert make_codec("avif").settings["tune"] == "iq"
    both = make_codec("avif:speed=9:tune=psnr").settings
    assert (both["speed"], both["tune"]) == (9, "psnr")
    assert make_codec("jpeg").settings != make_codec("jpeg-444").settings
    # The number of threads is no part of what is in the files.
    assert make_codec("avif", 2).settings == make_codec("avif", 1).settings


def test_the_tune_of_avif_is_in_the_files(photo: Bytes) -> None:
    files = {tune: make_codec(f"avif:speed=9:tune={tune}").encode(photo, 40) for tune in TUNES}
    assert len(set(files.values())) == len(TUNES)
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "AVIF", quality=40, speed=9, subsampling="4:4:4", advanced={"tune": "psnr"})
    assert files["psnr"] == buffer.getvalue()
    assert make_codec("avif:speed=9").encode(photo, 40) == files["iq"]


def test_a_library_that_does_not_know_the_tune(monkeypatch: pytest.MonkeyPatch) -> None:
    save = Image.Image.save

    def without(self: Image.Image, *arguments: Any, **options: Any) -> None:
        if options.get("advanced") == {"tune": "iq"}:
            raise ValueError("Failed to encode image: Invalid codec-specific option")
        save(self, *arguments, **options)

    monkeypatch.setattr(Image.Image, "save", without)
    with pytest.raises(UnavailableCodecError, match="the AVIF library of this Pillow has no tune iq"):
        make_codec("avif")
    make_codec("avif:tune=psnr")


def test_the_settings_know_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever room of the codec a module is in; those of training and evaluation aside."""
    for name in ("bitstream/wire.py", "codec/coder.py", "codec/rooms/deep/one.py", "codec/evaluation/cache.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    packages = {
        f"cae.{name}": types.SimpleNamespace(__path__=[str(tmp_path / name)]) for name in ("bitstream", "codec")
    }
    monkeypatch.setattr(codecs.importlib, "import_module", packages.__getitem__)
    digests = [codecs._code_digest()]
    for name in ("codec/evaluation/cache.py", "bitstream/wire.py", "codec/coder.py", "codec/rooms/deep/one.py"):
        (tmp_path / name).write_text("2")
        digests.append(codecs._code_digest())
    assert digests[1] == digests[0]
    assert len(set(digests)) == 4


def test_own_weights_from_a_folder_or_a_file(photo: Bytes, tmp_path: Path) -> None:
    installed = make_codec("cae")
    file = find_weights().path
    for path in (weights_folder(), file):
        codec = make_codec(f"cae:weights={path}")
        assert codec.settings == installed.settings
        assert codec.encode(photo, 30) == installed.encode(photo, 30)
    quick = make_codec(f"cae:effort=1:weights={file}")
    assert quick.settings != installed.settings
    assert quick.encode(photo, 30) != installed.encode(photo, 30)
    for options in ("effort=10", "effort=x", "effort=1:effort=2", "speed=1", "patches=some"):
        with pytest.raises(InputError, match=r"effort|speed|patches"):
            make_codec(f"cae:{options}")
    (tmp_path / "bad.safetensors").write_bytes(b"bad")
    with pytest.raises(WeightsError, match=r"bad\.safetensors"):
        make_codec(f"cae:weights={tmp_path / 'bad.safetensors'}")


# CompressAI.


class Network(torch.nn.Module):
    """In place of a network: a mean over blocks of 16 pixels, in steps of a quarter of the quality, as bytes."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.step = int(state["step"])
        self.updated = False

    @classmethod
    def from_state_dict(cls, state: dict[str, torch.Tensor]) -> Network:
        return cls(state)

    def update(self) -> None:
        self.updated = True

    def compress(self, x: torch.Tensor) -> dict[str, object]:
        assert self.updated
        assert x.shape[2] % 64 == x.shape[3] % 64 == 0
        y = torch.nn.functional.avg_pool2d(x, 16)
        string = (y * 255 / self.step).round().to(torch.uint8).numpy().tobytes()
        return {"strings": [[string], [b"hyper"]], "shape": y.shape[2:]}

    def decompress(self, strings: list[list[bytes]], shape: list[int]) -> dict[str, torch.Tensor]:
        assert strings[1] == [b"hyper"]
        y = np.frombuffer(strings[0][0], np.uint8).reshape(1, 3, *shape).astype(np.float32)
        x = torch.from_numpy(y * self.step / 255)
        return {"x_hat": torch.nn.functional.interpolate(x, scale_factor=16.0) * 1.0}


@pytest.fixture
def compressai(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A CompressAI with one model of two qualities, and the empty folder of torch's cache of weights."""
    image, pretrained = types.ModuleType("compressai.zoo.image"), types.ModuleType("compressai.zoo.pretrained")
    urls = {quality: f"https://example.org/models/mbt2018-mean-{quality}-0a1b.pth.tar" for quality in (1, 2)}
    image.model_urls = {"mbt2018-mean": {"mse": urls}}  # type: ignore[attr-defined]
    image.model_architectures = {"mbt2018-mean": Network}  # type: ignore[attr-defined]
    pretrained.load_pretrained = lambda state: state  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "compressai", types.ModuleType("compressai"))
    monkeypatch.setitem(sys.modules, "compressai.zoo", types.ModuleType("compressai.zoo"))
    monkeypatch.setitem(sys.modules, "compressai.zoo.image", image)
    monkeypatch.setitem(sys.modules, "compressai.zoo.pretrained", pretrained)
    monkeypatch.setattr(zoo, "version", lambda package: "1.2.8")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_zoo_from_the_cache(compressai: Path, photo: Bytes) -> None:
    for quality, step in ((1, 16), (2, 4)):
        torch.save({"step": torch.tensor(step)}, compressai / f"mbt2018-mean-{quality}-0a1b.pth.tar")
    codec = make_codec("zoo:mbt2018-mean")
    assert codec.qualities == (1, 2)
    values = []
    for quality in codec.qualities:
        data = codec.encode(photo, quality)
        # 120x200 pixels in 8 x 16 latents of 3 channels; 8 numbers, two of which take two bytes; both strings.
        assert len(data) == 8 + 2 + 3 * 8 * 16 + 5
        decoded = make_codec("zoo:mbt2018-mean").decode(data)  # nothing is known but the file
        assert decoded.shape == photo.shape
        values.append(psnr(photo, decoded))
    assert values[0] < values[1]


def test_zoo_from_a_file(compressai: Path, photo: Bytes, tmp_path: Path) -> None:
    path = tmp_path / "own.pth"
    torch.save({"state_dict": {"step": torch.tensor(2)}, "epoch": 3}, path)
    codec = make_codec(f"zoo:mbt2018-mean:weights={path}")
    assert codec.qualities == (1,)
    assert codec.decode(codec.encode(photo, 1)).shape == photo.shape
    path.write_bytes(b"bad")
    codec = make_codec(f"zoo:mbt2018-mean:weights={path}")
    with pytest.raises(WeightsError, match=r"own\.pth: not weights of zoo:mbt2018-mean"):
        codec.encode(photo, 1)


def test_zoo_without_its_weights(compressai: Path) -> None:
    with pytest.raises(UnavailableCodecError) as raised:
        make_codec("zoo:mbt2018-mean")
    line = str(raised.value)
    assert f"none of its weights is in {compressai}" in line
    assert "mbt2018-mean-1-0a1b.pth.tar" in line
    assert "zoo:mbt2018-mean:weights=PATH" in line
    with pytest.raises(UnavailableCodecError, match="CompressAI has mbt2018-mean"):
        make_codec("zoo:elic")
    with pytest.raises(InputError, match="not an option"):
        make_codec("zoo:mbt2018-mean:quality=1")


def test_zoo_without_compressai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compressai.zoo.image", None)
    with pytest.raises(UnavailableCodecError, match="needs the extra zoo"):
        make_codec("zoo:mbt2018-mean")
