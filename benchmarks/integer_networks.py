"""What integer networks cost: the rate under the integer prior, the error of the integer synthesis, and both of the
integer analysis, against the same networks in floating point.

    python benchmarks/integer_networks.py FOLDER

Priors code the same images with the same quantiser and probability tables; only the networks' arithmetic differs. What
the format fixes stays as it is for both: latents in sixteenths of a step, the networks' input in 1/4096 of a standard
deviation, 64 rows of tables. Syntheses get the same latents; what analyses give is quantised and decoded by the same
integer networks.
"""

from __future__ import annotations

from pathlib import Path

import click
import torch
from torch import Tensor, nn

from cae.codec.backends.tensors.checkpoint import load_frozen, parse_trained
from cae.codec.encode.analysis_windows import analyse
from cae.codec.evaluation.estimate import estimated_bits
from cae.codec.image.picture import read_picture
from cae.codec.model.arrays import Pixels
from cae.codec.model.config import CONTEXT_CLAMP, OPERAND_ZERO, SCALE_STEP
from cae.codec.model.constants import DEVIATION_ONE, INPUT_ONE, MEAN_ONE, SCALE_ONE
from cae.codec.model.distortion import psnr
from cae.codec.model.rate import rate_of
from cae.codec.model.weights import weights_folder
from cae.codec.torch_codec import Codec, load_codec
from cae.codec.training.model.model import CompressionModel

ROWS = (0, 64, 128, 192, 255)


class FloatHyperSynthesis(nn.Module):
    """The trained network in the integer one's place."""

    def __init__(self, model: CompressionModel) -> None:
        super().__init__()
        self.network = model.prior.hyper_synthesis

    def forward(self, z: Tensor, row: Tensor) -> Tensor:
        out: Tensor = self.network(z.float() - OPERAND_ZERO, torch.tensor([rate_of(int(row))]))
        return out


class FloatStep(nn.Module):
    """The same for a context step: its outputs in the integers' units."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        if known is not None:
            known = (known / INPUT_ONE).clamp(-CONTEXT_CLAMP, CONTEXT_CLAMP)
        mean, log_scale = self.network(features, known)
        return mean * MEAN_ONE, log_scale * (SCALE_ONE / SCALE_STEP)


@torch.inference_mode()
def loss(codec: Codec, trained: CompressionModel, image: Pixels, row: int) -> float:
    """How many dB the floating-point synthesis would be nearer to an image, uint8 [H, W, 3]."""
    latents = torch.from_numpy(codec.coder.quantise(analyse(codec.coder.networks, [image], row), row)[1])
    rate = torch.tensor([rate_of(row)])
    floating = (
        255 * trained.synthesis(latents * codec.model.pixels.deviations[row] / DEVIATION_ONE, rate, trained.sigma)
        + 127.5
    )
    return psnr(image, floating.round().clamp(0, 255)[0].numpy()) - psnr(
        image, codec.coder.pixels(latents[0].numpy(), row)
    )


@torch.inference_mode()
def analysed(codec: Codec, trained: CompressionModel, image: Pixels, row: int) -> tuple[float, float]:
    """By what share the file would be smaller with both analyses in floating point, and how many dB nearer to an image,
    uint8 [H, W, 3] with sides that are multiples of 64."""
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
    integer = load_codec("cpu")
    weights = next(weights_folder().glob("*.safetensors"))
    trained = parse_trained(weights.read_bytes(), str(weights)).eval()
    floating = Codec(*load_frozen())
    prior = floating.model.prior
    prior.hyper_synthesis = FloatHyperSynthesis(trained)  # type: ignore[assignment]
    prior.steps = nn.ModuleList(FloatStep(step) for step in trained.prior.steps)
    images = [read_picture(path).pixels for path in sorted(folder.glob("*.png"))]
    for row in ROWS:
        exact = sum(estimated_bits(integer, image, row) for image in images)
        ideal = sum(estimated_bits(floating, image, row) for image in images)
        lost = sum(loss(integer, trained, image, row) for image in images) / len(images)
        shares, errors = zip(*(analysed(integer, trained, image, row) for image in images), strict=True)
        print(
            f"row {row:3d}: prior {100 * (exact / ideal - 1):+.3f} % bits; synthesis {-lost:+.3f} dB; "
            f"analysis {-100 * sum(shares) / len(images):+.3f} % bits, {-sum(errors) / len(images):+.3f} dB"
        )


if __name__ == "__main__":
    main()
