"""How near to this machine's own limit the codec runs: multiply-adds and bytes of each part, and the time they need.

    python benchmarks/roofline.py IMAGE [--threads 2] [--precision bfloat16] [--check]

The limit is measured in the same run: the rate of 1x1 convolutions on matrices of the codec's sizes, and of copies in
memory. What is timed is checked: the decoded latents are the encoder's, by the file's own checksum. With --check the
exit code is 1 where a ratio has become worse than `BOUNDS`, which no other load on the machine should bring about.
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
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from cae.bitstream.container import tile_rectangles, unpack
from cae.bitstream.entropy import StepDecoder, encode_steps
from cae.codec import windows
from cae.codec.config import BFLOAT16, FLOAT32, PRECISIONS
from cae.codec.image import read_picture
from cae.codec.layers import pointwise
from cae.codec.pipeline import load_codec

BOUNDS = {"synthesis": 0.6, "decode": 0.45, "analysis": 0.5, "encode, effort 1": 0.4}
"""Least part of the limit that each part may reach, in float32 and for an image of 768x512 pixels."""

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


def convolution_rate(dtype: torch.dtype, rounds: int) -> float:
    """Multiply-adds a second of 1x1 convolutions, a mean over `SIZES`."""
    work = spent = 0.0
    for inputs, outputs, positions in SIZES:
        x, weight = torch.randn(1, 1, positions, inputs, dtype=dtype), torch.randn(outputs, inputs, dtype=dtype)
        spent += seconds(lambda: pointwise(x, weight), rounds)  # noqa: B023
        work += inputs * outputs * positions
    return work / spent


def copy_rate(rounds: int) -> float:
    """Bytes a second that are read and written, of copies of 64 MiB."""
    source = torch.zeros(2**24)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / seconds(lambda: target.copy_(source), rounds)


class Traffic(TorchDispatchMode):
    """Adds up the bytes that operations read and write; views are free."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [item for item in (*args, result) if isinstance(item, torch.Tensor)]
            self.bytes += sum(tensor.nbytes for tensor in tensors)
        return result


def counted(function: Callable[[], Any]) -> tuple[float, float]:
    """Multiply-adds and bytes of a call."""
    mapping = {torch.ops.aten.mkldnn_convolution: _convolution}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=mapping) as flops:
        function()
    with torch.no_grad(), Traffic() as traffic:
        function()
    return flops.get_total_flops() / 2, traffic.bytes


def _convolution(x: Any, weight: Any, *rest: Any, out_shape: Any = None, **_: Any) -> int:
    return int(conv_flop_count(x, weight, out_shape))


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=15, show_default=True)
@click.option("--quality", default=50, show_default=True)
@click.option("--precision", type=click.Choice(PRECISIONS), default=FLOAT32, show_default=True)
@click.option("--check", is_flag=True, help="Fail where a ratio is out of bounds.")
@click.pass_context
def main(ctx: click.Context, image: Path, threads: int, rounds: int, quality: int, precision: str, check: bool) -> None:
    """Measure the codec on IMAGE, of one tile."""
    torch.set_num_threads(threads)
    codec = load_codec("cpu", precision=precision)
    picture = read_picture(image)
    data = codec.encode(picture, quality, effort=1)
    container = unpack(data)
    row, rectangle = container.header.row, tile_rectangles(container.header)[0]
    if len(container.tiles) > 1:
        raise click.UsageError("an image of one tile, please: at most 1024x1024 pixels")
    latents = codec.decode_latents(container)
    y = windows.analyse(codec.model, picture.pixels, row)
    steps, _ = codec.coder.quantise(y, row)

    def entropy() -> None:
        decoder = StepDecoder(codec.coder.tables, container.tiles[0].payload)
        for _, rows in steps:
            decoder.decode(rows)

    def prior() -> None:
        known = iter(steps[1:])
        z = torch.from_numpy(steps[0][0]).reshape(1, rectangle.height // 4, rectangle.width // 4, -1)
        codec.model.walk(z, row, lambda step, mean, rows: torch.from_numpy(next(known)[0]).reshape(mean.shape))

    parts: dict[str, Callable[[], Any]] = {
        "decode": lambda: codec.decode(data),
        "  prior": prior,
        "  entropy decoding": entropy,
        "  synthesis": lambda: list(windows.synthesise(codec.model, [latents], row)),
        "encode, effort 1": lambda: codec.encode(picture, quality, effort=1),
        "  analysis": lambda: windows.analyse(codec.model, picture.pixels, row),
        "  quantisation": lambda: codec.coder.quantise(y, row),
        "  entropy coding": lambda: encode_steps(codec.coder.tables, steps),
        "encode, effort 2": lambda: codec.encode(picture, quality, effort=2),
    }
    rate, bandwidth = convolution_rate(torch.float32, rounds), copy_rate(rounds)
    print(f"{picture.width}x{picture.height}, quality {quality}, {threads} threads, {precision} synthesis")
    print(f"1x1 convolutions: {rate / 1e9:.0f} G multiply-adds/s, copies: {bandwidth / 1e9:.1f} GB/s", end="")
    if precision == BFLOAT16:
        print(f"; in bfloat16 {convolution_rate(torch.bfloat16, rounds) / 1e9:.0f} G", end="")
    print("\n                      ms  G mul-add     MB   at the limit, ms   reached")
    reached = {}
    for name, function in parts.items():
        spent = seconds(function, rounds)
        work, traffic = counted(function)
        limit = work / rate
        reached[name.strip()] = limit / spent
        share = f"{100 * limit / spent:6.0f} %" if work else ""
        print(f"{name:18} {1e3 * spent:6.1f} {work / 1e9:10.2f} {traffic / 1e6:6.0f} {1e3 * limit:18.1f}   {share}")
    worse = [name for name, bound in BOUNDS.items() if reached[name] < bound]
    if check and worse:
        print(f"below their bounds: {', '.join(worse)}")
        ctx.exit(1)


if __name__ == "__main__":
    main()
