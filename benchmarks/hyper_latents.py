"""What a learned density for the hyper-latents could save: CompressAI's EntropyBottleneck against the codec's tables.

    python benchmarks/hyper_latents.py FOLDER

The bottleneck is fitted to the hyper-latents of half of the images; those of the other half are costed by both. The
codec takes a row of the latents' tables for each channel and rate. Needs the extra `eval`.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from cae.codec.encode.analysis_windows import analyse
from cae.codec.image.picture import read_picture
from cae.codec.model.arrays import Pixels
from cae.codec.torch_codec import Codec, load_codec

ROWS = (0, 128, 255)
FIT_STEPS = 1500


def costs(codec: Codec, pixels: Pixels, row: int) -> tuple[Tensor, float, float]:
    """The hyper-latents of an image, float32 [n, Z], their bits, and all bits of the image, at a rate index."""
    (steps,), _ = codec.coder.quantise(analyse(codec.coder.networks, [pixels], row), row)
    bits = [codec.coder.tables.cost_in_bits(*step) for step in steps]
    z = torch.from_numpy(steps[0][0]).float().reshape(-1, codec.coder.networks.hyper_scale_indices.shape[1])
    return z, bits[0], sum(bits)


def fitted_bits(train: Tensor, test: Tensor) -> float:
    """The bits of `test` by a bottleneck fitted to `train`, both float32 [n, Z]."""
    from compressai.entropy_models import EntropyBottleneck

    torch.manual_seed(0)
    bottleneck = EntropyBottleneck(train.shape[1])
    optimizer = torch.optim.Adam([p for n, p in bottleneck.named_parameters() if n != "quantiles"], lr=1e-2)
    for _ in range(FIT_STEPS):
        batch = train[torch.randint(len(train), (256,))].T[None, :, :, None]
        loss = -bottleneck(batch, training=True)[1].log2().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        likelihoods = bottleneck._likelihood(test.T[:, None, :])[0]  # what `forward` gives for integers
    return float(-likelihoods.clamp(min=1e-9).log2().sum())


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Compare on the PNG images of FOLDER."""
    codec = load_codec("cpu")
    images = [read_picture(path).pixels for path in sorted(folder.glob("*.png"))]
    for row in ROWS:
        train = torch.cat([costs(codec, image, row)[0] for image in images[::2]])
        tested = [costs(codec, image, row) for image in images[1::2]]
        own, total = np.sum([bits for _, *bits in tested], axis=0)
        other = fitted_bits(train, torch.cat([z for z, *_ in tested]))
        print(
            f"row {row:3d}: hyper-latents are {100 * own / total:.2f} % of the rate; "
            f"the bottleneck would change the rate by {100 * (other - own) / total:+.2f} %"
        )


if __name__ == "__main__":
    main()
