"""How near to this machine's own limit the codec runs: multiply-adds and bytes of each part, and the time they need.

    python benchmarks/roofline.py IMAGE [--threads 2] [--check]

The limit is measured in the same run: the rates of 1x1 convolutions on matrices of the codec's sizes, in float32 and in
8 bits, and of copies in memory. What is timed is checked: the decoded latents are the encoder's, by the file's own
checksum. With --check the exit code is 1 where a ratio has become worse than `BOUNDS`, which no other load on the
machine should bring about.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cae.bitstream.container import tile_rectangles, unpack
from cae.bitstream.entropy import StepDecoder, encode_steps
from cae.codec import areas, windows
from cae.codec.image import read_picture
from cae.codec.pipeline import load_codec
from cae.codec.tensors.layers import pointwise
from cae.codec.tensors.narrow import NarrowPointwise, operands

BOUNDS = {"synthesis": 0.2, "decode": 0.15, "analysis": 0.2, "encode, effort 1": 0.15}
"""Least part of the limit that each part may reach, for an image of 768x512 pixels."""

SIZES = ((128, 512, 6144), (256, 128, 6144), (192, 768, 1536), (192, 192, 1536))
"""(inputs, outputs, positions) of the most frequent matrices, for such an image."""


def seconds(function: Callable[[], Any], rounds: int) -> float:
    """The median time of a call, after one to warm up."""
    function()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def convolution_rate(rounds: int, *, narrow: bool = False) -> float:
    """Multiply-adds a second of 1x1 convolutions in float32, or in 8 bits, a mean over `SIZES`."""
    work = spent = 0.0
    for inputs, outputs, positions in SIZES:
        x, weight = torch.rand(1, 1, positions, inputs), torch.rand(outputs, inputs)
        layer = NarrowPointwise(weight, weight[:, 0])
        layer.settle()
        u = operands(200 * x)
        spent += seconds(lambda: layer(u) if narrow else pointwise(x, weight), rounds)  # noqa: B023
        work += inputs * outputs * positions
    return work / spent


def copy_rate(rounds: int) -> float:
    """Bytes a second that are read and written, of copies of 64 MiB."""
    source = torch.zeros(2**24)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / seconds(lambda: target.copy_(source), rounds)


class Work(TorchDispatchMode):
    """Adds up multiply-adds, in float32 and in 8 bits, and the bytes that operations read and write; views are free."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.full = self.narrow = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [item for item in (*args, result) if isinstance(item, torch.Tensor)]
            self.bytes += sum(tensor.nbytes for tensor in tensors if tensor.layout is torch.strided)
        name = func._schema.name
        if name in ("aten::mkldnn_convolution", "aten::convolution"):
            self.full += result.numel() * args[1][0].numel()
        elif name == "onednn::qlinear_pointwise":
            self.narrow += result.numel() * args[0].shape[-1]
        elif name == "onednn::qconv2d_pointwise":
            self.narrow += 9 * result.numel()
        return result


def counted(function: Callable[[], Any]) -> Work:
    """What a call does."""
    with torch.no_grad(), Work() as work:
        function()
    return work


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=15, show_default=True)
@click.option("--quality", default=50, show_default=True)
@click.option("--check", is_flag=True, help="Fail where a ratio is out of bounds.")
@click.pass_context
def main(ctx: click.Context, image: Path, threads: int, rounds: int, quality: int, check: bool) -> None:
    """Measure the codec on IMAGE, of one tile."""
    torch.set_num_threads(threads)
    codec = load_codec("cpu")
    picture = read_picture(image)
    data = codec.encode(picture, quality, effort=1)
    container = unpack(data)
    row, rectangle = container.header.row, tile_rectangles(container.header)[0]
    if len(container.tiles) > 1:
        raise click.UsageError("an image of one tile, please: at most 1024x1024 pixels")
    latents = codec.decode_latents(container)
    y = areas.analyse(codec.coder.networks, [picture.pixels], row)
    (steps,), _ = codec.coder.quantise(y, row)

    def entropy() -> None:
        decoder = StepDecoder(codec.coder.tables, container.tiles[0].payload)
        for _, rows in steps:
            decoder.decode(rows)

    symbols: list[Any] = []
    codec.coder.decode(container.tiles, rectangle.height, rectangle.width, row, lambda s, _: symbols.append(s))

    def prior() -> None:
        codec.coder.networks.walk(symbols[0], row, lambda step, mean, rows: symbols[1 + step])

    parts: dict[str, Callable[[], Any]] = {
        "decode": lambda: codec.decode(data),
        "  prior": prior,
        "  entropy decoding": entropy,
        "  synthesis": lambda: list(windows.synthesise(codec.coder, [latents], row)),
        "encode, effort 1": lambda: codec.encode(picture, quality, effort=1),
        "  analysis": lambda: areas.analyse(codec.coder.networks, [picture.pixels], row),
        "  quantisation": lambda: codec.coder.quantise(y, row),
        "  entropy coding": lambda: encode_steps(codec.coder.tables, steps),
        "encode, effort 2": lambda: codec.encode(picture, quality, effort=2),
    }
    rate, narrow_rate = convolution_rate(rounds), convolution_rate(rounds, narrow=True)
    print(f"{picture.width}x{picture.height}, quality {quality}, {threads} threads")
    print(f"1x1 convolutions: {rate / 1e9:.0f} G multiply-adds/s in float32, {narrow_rate / 1e9:.0f} G in 8 bits;")
    print(f"copies: {copy_rate(rounds) / 1e9:.1f} GB/s")
    print("                      ms  G in float32  G in 8 bits     MB   at the limit, ms   reached")
    reached = {}
    for name, function in parts.items():
        spent = seconds(function, rounds)
        work = counted(function)
        limit = work.full / rate + work.narrow / narrow_rate
        reached[name.strip()] = limit / spent
        share = f"{100 * limit / spent:6.0f} %" if limit else ""
        print(f"{name:18} {1e3 * spent:6.1f} {work.full / 1e9:13.2f} {work.narrow / 1e9:12.2f}", end="")
        print(f" {work.bytes / 1e6:6.0f} {1e3 * limit:18.1f}   {share}")
    worse = [name for name, bound in BOUNDS.items() if reached[name] < bound]
    if check and worse:
        print(f"below their bounds: {', '.join(worse)}")
        ctx.exit(1)


if __name__ == "__main__":
    main()
