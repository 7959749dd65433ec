"""Codecs compared on a folder of pictures by `cae rd-curve`: the bytes that equal quality takes, against JPEG.

    pip install ".[eval]" scikit-image && python examples/compare.py

Takes photos/ in the current folder, makes it first where there is none, and writes points.json. With `--output F.html`
the same command writes a report to look at.
"""

import json
import subprocess
import sys
from pathlib import Path

import skimage.data
from PIL import Image

folder = Path("photos")
if not folder.exists():
    folder.mkdir()
    for name in ("astronaut", "chelsea", "coffee"):
        picture = Image.fromarray(getattr(skimage.data, name)())
        picture.thumbnail((256, 256))
        picture.save(folder / f"{name}.png")

options = ["--codecs", "jpeg,webp,cae", "--metrics", "psnr,psnr-y", "--json", "points.json"]
subprocess.run([sys.executable, "-m", "cae", "rd-curve", str(folder), *options], check=True)

# The same figures for programs. For a conclusion take as many pictures of your own as you can.
for delta in json.loads(Path("points.json").read_text())["deltas"]:
    if "bd_rate" in delta and delta["codec"] != "jpeg":
        print(f"{delta['codec']}, {delta['metric']}: {delta['bd_rate']:+.1f} % of the bytes of JPEG")
