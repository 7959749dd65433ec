"""Rate and distortion of real files on a folder of images, against the reference JPEG.

    python benchmarks/rate.py FOLDER [--effort 2] [--manifest]

Every image is encoded and decoded at 8 qualities; rates come from the sizes of the files, PSNR from the decoded 8-bit
pixels. With --manifest the points are written into the manifest of the installed weights' folder in this repository.
`cae rd-curve` compares with other codecs. Needs the extra `eval`.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import click

from cae.codec.evaluation.codecs import make_codec
from cae.codec.evaluation.curve import Point, bd_rate, mean_point
from cae.codec.evaluation.measure import rd_point
from cae.codec.image.picture import read_picture
from cae.codec.model.weights import find_weights
from cae.codec.options import DEFAULT_EFFORT

QUALITIES = (0, 14, 29, 43, 57, 71, 86, 100)
JPEG_QUALITIES = range(5, 100, 5)
MANIFEST = Path(__file__).parent.parent / "weights" / "manifest.json"


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--effort", default=DEFAULT_EFFORT, show_default=True)
@click.option("--manifest", is_flag=True, help="Write the points into weights/manifest.json.")
def main(folder: Path, effort: int, manifest: bool) -> None:
    """Measure all PNG images of FOLDER."""
    codec = make_codec(f"cae:effort={effort}")
    values = json.loads(MANIFEST.read_text(encoding="utf-8"))
    if manifest and bytes.fromhex(values["sha256"])[:4] != find_weights().fingerprint:
        raise click.ClickException("the installed weights are not those of this repository")
    paths = sorted(folder.glob("*.png"))
    points: dict[int, list[Point]] = {quality: [] for quality in QUALITIES}
    jpeg: dict[int, list[Point]] = {quality: [] for quality in JPEG_QUALITIES}
    reference = make_codec("jpeg")
    rising = True
    for path in paths:
        pixels = read_picture(path).pixels
        for quality in QUALITIES:
            points[quality].append(rd_point(codec, pixels, quality))
        own = [points[quality][-1] for quality in QUALITIES]
        rising &= all(a.bpp < b.bpp and a.psnr < b.psnr for a, b in pairwise(own))
        for quality in JPEG_QUALITIES:
            jpeg[quality].append(rd_point(reference, pixels, quality))
    curve = {quality: mean_point(values) for quality, values in points.items()}
    anchor = [mean_point(values) for values in jpeg.values()]
    for quality, point in curve.items():
        print(f"q {quality:3d}: {point.bpp:.4f} bpp  {point.psnr:.3f} dB")
    delta = bd_rate(anchor, list(curve.values()))
    print(f"BD-rate against the reference JPEG on {len(paths)} images, effort {effort}: {delta:+.2f} %")
    print(f"size and PSNR rise with quality on every image: {rising}")
    if manifest:
        values[folder.name] = {
            "effort": effort,
            "points": [{"q": q, "bpp": round(p.bpp, 4), "psnr": round(p.psnr, 3)} for q, p in curve.items()],
            "bd_rate_vs_jpeg": round(delta, 2),
        }
        MANIFEST.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
