"""The test of benchmarks/exactness.py on CompressAI's mbt2018-mean with its own coder, for comparison.

    python benchmarks/exactness_peer.py FOLDER [--count 24]

The first setting encodes the PNG images of FOLDER; each setting, in a process of its own, decodes all files. Compared
are the symbols of the latents, which a difference in the last bit of a mean does not touch: what differs was read with
another table than it was written with. The weights are random, the same for all, with the last layers scaled so that
latents and their scales are as wide as those of a trained model. Needs the extra `eval`, nothing of this package.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from compressai.models import MeanScaleHyperprior
from PIL import Image

SETTINGS = [
    {"OMP_NUM_THREADS": threads, "ATEN_CPU_CAPABILITY": aten, "ONEDNN_MAX_CPU_ISA": onednn}
    for threads, (aten, onednn) in itertools.product(
        ("1", "2"), (("avx512", "AVX512_CORE"), ("avx2", "AVX2"), ("default", "SSE41"))
    )
]


def model() -> MeanScaleHyperprior:
    """A model with random weights from a seed, and its coder's tables."""
    torch.manual_seed(0)  # the layers that keep their own initial values
    net = MeanScaleHyperprior(128, 192)
    random = np.random.default_rng(0)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.split(".")[0] in ("g_a", "h_a", "h_s") and name.endswith("weight") and parameter.dim() == 4:
                values = random.standard_normal(parameter.shape) * (2 / np.prod(parameter.shape[1:])) ** 0.5
                parameter.copy_(torch.from_numpy(values.astype(np.float32)))
        net.g_a[-1].weight.mul_(3)
        net.h_s[-1].weight.mul_(2)
    net.eval()
    net.update()
    return net


def symbols(net: Any, strings: list[list[bytes]], shape: tuple[int, int]) -> np.ndarray[Any, Any]:
    """The symbols of the latents, without their means, by the decoder's own steps: int64."""
    z = net.entropy_bottleneck.decompress(strings[1], shape)
    scales, means = net.h_s(z).chunk(2, 1)
    indexes = net.gaussian_conditional.build_indexes(scales)
    y = net.gaussian_conditional.decompress(strings[0], indexes, means=means)
    return np.asarray((y - means).round().long().numpy())


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--count", default=24, show_default=True)
@click.option("--role", type=click.Choice(["all", "encode", "decode"]), default="all", hidden=True)
def main(folder: Path, count: int, role: str) -> None:
    """Compare all settings."""
    if role == "all":
        with tempfile.TemporaryDirectory() as name:
            os.environ["PEER"] = name
            script = [sys.executable, "-W", "ignore", __file__, str(folder), "--count", str(count), "--role"]
            subprocess.run([*script, "encode"], check=True, env=os.environ | SETTINGS[0])
            reference: list[str] = []
            for setting in SETTINGS:
                run = subprocess.run(
                    [*script, "decode"], check=True, capture_output=True, text=True, env=os.environ | setting
                )
                digests = run.stdout.split()
                reference = reference or digests
                same = sum(a == b for a, b in zip(reference, digests, strict=True))
                print(f"{setting}: {same} of {len(digests)} decode to the encoder's symbols", flush=True)
        return
    place = Path(os.environ["PEER"])
    if role == "encode":
        net = model()
        torch.save(net.state_dict(), place / "net.pt")
    else:  # the encoder's weights and tables are loaded: none is computed again
        net = MeanScaleHyperprior.from_state_dict(torch.load(place / "net.pt", weights_only=True)).eval()
    with torch.inference_mode():
        for path in sorted(folder.glob("*.png"))[:count]:
            coded = place / f"{path.stem}.json"
            if role == "encode":
                with Image.open(path) as image:
                    pixels = np.asarray(image.convert("RGB"))
                x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
                result = net.compress(x)
                strings = [base64.b64encode(part[0]).decode("ascii") for part in result["strings"]]
                coded.write_text(json.dumps([strings, list(result["shape"])]))
            else:
                strings, shape = json.loads(coded.read_text())
                found = symbols(net, [[base64.b64decode(part)] for part in strings], tuple(shape))
                print(hashlib.sha256(found.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
