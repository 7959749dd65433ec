"""The loss by integer networks, against the same networks in floating point: of rate by the prior, of PSNR by the
synthesis, and of both by the analysis.

    python benchmarks/integer_networks.py FOLDER

Priors code the same images with the same quantiser and probability tables; only the networks' arithmetic differs. What
the format fixes stays as it is for both: latents in sixteenths of a step, the networks' input in 1/4096 of a standard
deviation, 64 rows of tables. Syntheses get the same latents; what analyses give is quantised and decoded by the same
integer networks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cae.codec.backends.networks import IntegerNetworks, host_layers
from cae.codec.codec import FileCoder
from cae.codec.encode.analysis_windows import analyse
from cae.codec.evaluation.estimate import estimated_bits
from cae.codec.image.picture import read_picture
from cae.codec.model.arrays import Floats, Latents, Pixels
from cae.codec.model.config import CONTEXT_CLAMP, LATENT_FRACTION, SCALE_STEP, TABLE_ROWS
from cae.codec.model.constants import DEVIATION_ONE, INPUT_ONE, MEAN_LIMIT
from cae.codec.model.distortion import psnr
from cae.codec.model.integer_weights import IntegerWeights, load_integers
from cae.codec.model.rate import rate_of
from cae.codec.model.weights import find_weights
from cae.codec.select import load_on_cpu
from cae.codec.training.checkpoint import parse_trained
from cae.codec.training.model.model import CompressionModel
from cae.codec.training.model.prior import select_step

ROWS = (0, 64, 128, 192, 255)


class FloatPrior(IntegerNetworks[Any]):
    """Integer networks with the trained floating-point prior, whose outputs are rounded as in the format."""

    def __init__(self, weights: IntegerWeights, trained: CompressionModel) -> None:
        super().__init__(weights, host_layers(weights))
        self._weights, self._prior = weights, trained.prior

    @torch.inference_mode()
    def _hyper_synthesis(self, z: Floats, rate_index: int) -> Floats:
        features: Tensor = self._prior.hyper_synthesis(torch.from_numpy(z), torch.tensor([rate_of(rate_index)]))
        return features.numpy()

    @torch.inference_mode()
    def _predict(
        self, features: Floats, latents: Latents, step: int, rate_index: int
    ) -> tuple[Floats, npt.NDArray[np.uint8]]:
        inverse, sigmas, log_sigmas = (
            torch.from_numpy(self._weights.table(name)[rate_index].copy())
            for name in ("inverse_unit", "unit", "log_unit")
        )
        known = ((torch.from_numpy(latents) * inverse).round() / INPUT_ONE).clamp(-CONTEXT_CLAMP, CONTEXT_CLAMP)
        # A copy, as the first step works in place.
        mean, log_scale = self._prior.context_steps[step](torch.from_numpy(features.copy()), known if step else None)
        sigmas, log_sigmas = (select_step(table.expand(4, 1, 1, 1, -1), step) for table in (sigmas, log_sigmas))
        means = (mean * sigmas * LATENT_FRACTION).round().clamp(-MEAN_LIMIT, MEAN_LIMIT)
        scale_indices = (log_sigmas + log_scale / SCALE_STEP).round().clamp(0, TABLE_ROWS - 1)
        return means.numpy(), scale_indices.byte().numpy()


@torch.inference_mode()
def loss(codec: FileCoder, trained: CompressionModel, deviations: Floats, image: Pixels, row: int) -> float:
    """How many dB higher the PSNR of an image, uint8 [H, W, 3], is by the floating-point synthesis. deviations: the
    weights' table pixels.deviations, [256, M]."""
    latents = torch.from_numpy(codec.coder.quantise(analyse(codec.coder.networks, [image], row), row)[1])
    rate = torch.tensor([rate_of(row)])
    floating = (
        255 * trained.synthesis(latents * torch.from_numpy(deviations[row] / DEVIATION_ONE), rate, trained.sigma)
        + 127.5
    )
    return psnr(image, floating.round().clamp(0, 255)[0].numpy()) - psnr(
        image, codec.coder.pixels(latents[0].numpy(), row)
    )


@torch.inference_mode()
def analysed(codec: FileCoder, trained: CompressionModel, image: Pixels, row: int) -> tuple[float, float]:
    """The relative change in bytes, and the change in dB, of an image, uint8 [H, W, 3] with sides that are multiples of
    64, if both analyses are in floating point."""
    rate = torch.tensor([rate_of(row)])
    y = analyse(codec.coder.networks, [image], row)
    floating = trained.analysis(torch.from_numpy(image)[None].float() / 255 - 0.5, rate, trained.sigma)
    results = []
    for latents, z in (
        (y, codec.coder.networks.analyse_hyper(y, row)),
        (floating.numpy(), trained.hyper_analysis(floating, rate).round().int().numpy()),
    ):
        steps, decoded = codec.coder.quantise(latents, row, z)
        error = psnr(image, codec.coder.pixels(decoded[0], row))
        (tile,) = codec.coder.encode(steps, decoded)
        results.append((len(tile.payload), error))
    return results[1][0] / results[0][0] - 1, results[1][1] - results[0][1]


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Compare on all PNG images of FOLDER."""
    integer = load_on_cpu()
    path = find_weights().path
    trained = parse_trained(path.read_bytes(), str(path)).eval().requires_grad_(False)
    weights, fingerprint = load_integers()
    floating = FileCoder(FloatPrior(weights, trained), fingerprint)
    deviations = weights.table("pixels.deviations")
    images = [read_picture(path).pixels for path in sorted(folder.glob("*.png"))]
    for row in ROWS:
        exact = sum(estimated_bits(integer, image, row) for image in images)
        ideal = sum(estimated_bits(floating, image, row) for image in images)
        lost = sum(loss(integer, trained, deviations, image, row) for image in images) / len(images)
        shares, errors = zip(*(analysed(integer, trained, image, row) for image in images), strict=True)
        print(
            f"row {row:3d}: prior {100 * (exact / ideal - 1):+.3f} % bits; synthesis {-lost:+.3f} dB; "
            f"analysis {-100 * sum(shares) / len(images):+.3f} % bits, {-sum(errors) / len(images):+.3f} dB"
        )


if __name__ == "__main__":
    main()
