"""Compares codecs on a folder of pictures by `cae rd-curve`: the bytes that equal quality takes, against JPEG.

    pip install ".[eval]" scikit-image && python examples/compare.py

Takes the pictures in photos/ in the current folder, or makes some there first, and writes points.json. With
`--output F.html` the command writes a report to look at.
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

# The figures for programs. For a conclusion take as many pictures of your own as you can.
for delta in json.loads(Path("points.json").read_text())["deltas"]:
    if "bd_rate" in delta and delta["codec"] != "jpeg":
        print(f"{delta['codec']}, {delta['metric']}: {delta['bd_rate']:+.1f} % of the bytes of JPEG")
