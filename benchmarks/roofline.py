"""The codec's speed as a share of the machine's own limit: multiply-adds of each part, and the time they take.

    python benchmarks/roofline.py IMAGE [--threads 2] [--level avx2] [--check]

The limit is measured in the same run: the rate of oneDNN's 1x1 convolutions on matrices of the codec's sizes, with the
instructions of the level, in 8 bits, or in float32 for levels without products of bytes. The compiled kernels are
timed; multiply-adds are counted as torch does the same. Results are checked: decoded latents by the file's own
checksum, and pixels against torch's. With --check the exit code is 1 where a ratio has become worse than `BOUNDS`,
which no other load on the machine should bring about.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cae.bitstream.container import unpack
from cae.bitstream.header import DEFAULT_TILE, tile_rectangles
from cae.codec.backends.kernels.instructions import levels
from cae.codec.backends.torch_parts import pointwise
from cae.codec.codec import FileCoder
from cae.codec.decode import synthesis_windows
from cae.codec.encode.analysis_windows import analyse
from cae.codec.image.picture import Picture, read_picture
from cae.codec.machine.threads import set_threads
from cae.codec.select import load_on_cpu
from cae.codec.torch_codec import load_codec

BOUNDS = {"synthesis": 0.2, "decode": 0.15, "analysis": 0.2, "encode, effort 1": 0.15}
"""The least share of the limit that each part must reach, for an image of 768x512 pixels."""

ONEDNN = {
    "avx512_amx": "ALL",
    "avx512_vnni": "AVX512_CORE_VNNI",
    "avx512": "AVX512_CORE",
    "avx2_vnni": "AVX2_VNNI",
    "avx2": "AVX2",
}
"""The instruction set that oneDNN is held to, for a level of instructions."""

SIZES = ((128, 512, 6144), (256, 128, 6144), (192, 768, 1536), (192, 192, 1536))
"""(inputs, outputs, positions) of the most frequent matrices, for an image of 768x512 pixels."""


def seconds(function: Callable[[], Any], rounds: int) -> float:
    """The median seconds of so many calls, after one to warm up."""
    function()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def convolution_rate(rounds: int, *, narrow: bool = False) -> float:
    """The multiply-adds a second of 1x1 convolutions over all SIZES, in float32, or `narrow`, in 8 bits."""
    work = spent = 0.0
    for inputs, outputs, positions in SIZES:
        x, weight = torch.rand(1, 1, positions, inputs), torch.rand(outputs, inputs)
        call = by_bytes(positions, inputs, outputs) if narrow else lambda: pointwise(x, weight)  # noqa: B023
        spent += seconds(call, rounds)
        work += inputs * outputs * positions
    return work / spent


def by_bytes(positions: int, inputs: int, outputs: int) -> Callable[[], torch.Tensor]:
    """A call of oneDNN's product of uint8 [positions, inputs] and int8 [outputs, inputs], to float32."""
    u = torch.randint(0, 256, (positions, inputs), dtype=torch.uint8)
    packed = torch.ops.onednn.qlinear_prepack(torch.randint(-127, 128, (outputs, inputs), dtype=torch.int8), None)
    zeros, ones = torch.zeros(outputs, dtype=torch.int32), torch.ones(outputs)
    words = (packed, ones, zeros, ones, 1.0, 0, torch.float32, "none", [], "")
    return lambda: torch.ops.onednn.qlinear_pointwise.default(u, 1.0, 0, *words)


class Work(TorchDispatchMode):
    """Adds up the multiply-adds of convolutions that torch does."""

    def __init__(self) -> None:
        super().__init__()
        self.products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name
        if name in ("aten::mkldnn_convolution", "aten::convolution", "aten::conv2d"):
            self.products += result.numel() * args[1][0].numel()
        return result


def counted(function: Callable[[], Any]) -> int:
    """The multiply-adds of a call, as far as torch does it."""
    with torch.no_grad(), Work() as work:
        function()
    return work.products


def parts_of(codec: FileCoder, picture: Picture, quality: float) -> dict[str, Callable[[], Any]]:
    """Calls of the parts of decoding and encoding a picture of one tile, by name."""
    data = codec.encode(picture, quality, effort=1)
    container, coder = unpack(data), codec.coder
    row, rectangle = container.header.rate_index, tile_rectangles(container.header)[0]
    latents = codec.decode_latents(container)
    y = analyse(coder.networks, [picture.pixels], row)
    (steps,), _ = coder.quantise(y, row)
    symbols: list[Any] = []
    coder.decode(container.tiles, rectangle.height, rectangle.width, row, lambda s, _: symbols.append(s))

    def entropy() -> None:
        decoder = coder.networks.step_decoder(coder.tables, container.tiles[0].payload)
        for _, rows in steps:
            decoder.decode(rows)

    return {
        "decode": lambda: codec.decode(data).pixels,
        "  prior": lambda: coder.networks.run_context_steps(
            symbols[0], row, lambda step, mean, rows: symbols[1 + step]
        ),
        "  entropy decoding": entropy,
        "  synthesis": lambda: list(synthesis_windows.synthesise(coder, [latents], row)),
        "encode, effort 1": lambda: codec.encode(picture, quality, effort=1),
        "  analysis": lambda: analyse(coder.networks, [picture.pixels], row),
        "  quantisation": lambda: coder.quantise(y, row),
        "  entropy coding": lambda: coder.networks.encode_steps(coder.tables, steps),
        "encode, effort 2": lambda: codec.encode(picture, quality, effort=2),
    }


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=15, show_default=True)
@click.option("--quality", default=50, show_default=True)
@click.option("--level", type=click.Choice(list(levels())), default=next(iter(levels()), None), show_default=True)
@click.option("--check", is_flag=True, help="Fail where a ratio is out of bounds.")
@click.pass_context
def main(
    ctx: click.Context, image: Path, threads: int, rounds: int, quality: int, level: str | None, check: bool
) -> None:
    """Measure the codec on IMAGE, of one tile."""
    if level is None:
        raise click.UsageError("no kernels were compiled")
    os.environ["ONEDNN_MAX_CPU_ISA"] = ONEDNN.get(level, "ALL")  # oneDNN reads it in its first call
    set_threads(threads)
    torch.set_num_threads(threads)
    picture = read_picture(image)
    if max(picture.width, picture.height) > 64 * DEFAULT_TILE:
        raise click.UsageError(f"an image of one tile, please: at most {64 * DEFAULT_TILE} pixels wide and high")
    parts = parts_of(load_on_cpu(level=level), picture, quality)
    by_torch = parts_of(load_codec("cpu"), picture, quality)
    if not np.array_equal(parts["decode"](), by_torch["decode"]()):
        raise SystemExit("kernels and torch decode other pixels")
    products = {name: counted(function) for name, function in by_torch.items()}
    kernels = levels()[level]
    rate = convolution_rate(rounds, narrow=kernels.group == 4 and not kernels.order)
    print(f"{picture.width}x{picture.height}, quality {quality}, {threads} threads, {level}")
    print(f"1x1 convolutions by oneDNN: {rate / 1e9:.0f} G multiply-adds/s")
    print("                      ms  G multiply-adds   at the limit, ms   reached")
    reached = {}
    for name, function in parts.items():
        spent = seconds(function, rounds)
        limit = products[name] / rate
        reached[name.strip()] = limit / spent
        share = f"{100 * limit / spent:6.0f} %" if limit else ""
        print(f"{name:18} {1e3 * spent:6.1f} {products[name] / 1e9:16.2f} {1e3 * limit:18.1f}   {share}")
    worse = [name for name, bound in BOUNDS.items() if reached[name] < bound]
    if check and worse:
        print(f"below their bounds: {', '.join(worse)}")
        ctx.exit(1)


if __name__ == "__main__":
    main()
