"""The models of CompressAI's zoo as codecs, in files with everything that a decoder needs.

CompressAI has no file format, so this one is used: the quality (it names the network), image height and
width, latent height and width, the number of strings, the length of each (all of them varints), then the strings.
"""

from __future__ import annotations

import hashlib
import importlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ...bitstream.errors import WeightsError
from ...bitstream.wire import Reader, varint
from ..model.arrays import Pixels
from .protocol import Scale, UnavailableCodecError

MULTIPLE = 64
"""Pixels that padded sides are multiples of: the factor by which the models reduce them in all."""


class ZooCodec:
    """A model of the zoo that was optimised for MSE: one network for each quality, loaded when it is first used."""

    def __init__(self, name: str, model: str, weights: Path | None = None) -> None:
        """weights: a checkpoint, or a folder of them under their published names; torch's cache if None.

        Raises UnavailableCodecError where CompressAI, the model or its weights are missing. Nothing is downloaded."""
        try:
            zoo: Any = importlib.import_module("compressai.zoo.image")
            self._pretrained: Any = importlib.import_module("compressai.zoo.pretrained")
        except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision that torch does not go with
            cause = " ".join(str(error).split())
            raise UnavailableCodecError(f"codec {name} needs the extra zoo, CompressAI: {cause}") from error
        urls = {known: kinds["mse"] for known, kinds in zoo.model_urls.items() if "mse" in kinds}
        if model not in urls:
            raise UnavailableCodecError(f"codec {name}: CompressAI has {', '.join(urls)}")
        self._architecture = zoo.model_architectures[model]
        if weights is not None and weights.is_file():
            self._files: dict[float, Path] = {1: weights}
        else:
            folder = weights or Path(torch.hub.get_dir()) / "checkpoints"
            published = {quality: folder / url.rpartition("/")[2] for quality, url in urls[model].items()}
            self._files = {quality: path for quality, path in published.items() if path.is_file()}
            if not self._files:
                raise UnavailableCodecError(
                    f"codec {name}: none of its weights is in {folder}, the first would be {published[1].name}; "
                    f"name a folder or a file with {name.partition(':weights')[0]}:weights=PATH"
                )
        self.name = name
        self.qualities = tuple(sorted(self._files))
        self.scale = Scale(self.qualities[0], self.qualities[-1], 1)
        digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in self._files.values()))
        self.settings = {"weights": digest.hexdigest()[:16], "compressai": version("compressai"), "format": 1}
        self._networks: dict[float, Any] = {}

    def encode(self, image: Pixels, quality: float) -> bytes:
        height, width = image.shape[:2]
        x = torch.tensor(image).permute(2, 0, 1)[None].float() / 255
        x = functional.pad(x, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        with torch.inference_mode():
            coded = self._network(quality).compress(x)
        strings = [string for (string,) in coded["strings"]]
        numbers = [round(quality), height, width, *coded["shape"], len(strings), *map(len, strings)]
        return b"".join([*map(varint, numbers), *strings])

    def decode(self, data: bytes) -> Pixels:
        reader = Reader(data)
        quality, height, width, *shape, count = (reader.varint() for _ in range(6))
        lengths = [reader.varint() for _ in range(count)]
        strings = [[reader.take(length)] for length in lengths]
        with torch.inference_mode():
            x = self._network(quality).decompress(strings, shape)["x_hat"][0, :, :height, :width]
        pixels: Pixels = (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        return np.ascontiguousarray(pixels)

    def _network(self, quality: float) -> Any:
        if quality not in self._networks:
            path = self._files[quality]
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
                state = self._pretrained.load_pretrained(state.get("state_dict", state))
                network = self._architecture.from_state_dict(state).eval()
            except Exception as error:  # whatever the file holds
                raise WeightsError(f"{path}: not weights of {self.name} ({' '.join(str(error).split())})") from error
            network.update()
            self._networks[quality] = network
        return self._networks[quality]
