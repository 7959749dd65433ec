"""Opens and saves .cae files by Pillow as any others, metadata included.

    python examples/with_pillow.py

Writes photo.jpg, photo.cae and copy.jpg into the current folder.
"""

import skimage.data
from PIL import ExifTags, Image

import cae.pillow  # noqa: F401  (registers the format)

# A photograph with metadata, as a camera writes it.
exif = Image.Exif()
exif[ExifTags.Base.Artist] = "A. Photographer"
Image.fromarray(skimage.data.rocket()).save("photo.jpg", quality=92, exif=exif)

with Image.open("photo.jpg") as photo:
    photo.save("photo.cae", quality=55)

with Image.open("photo.cae") as image:
    # No pixel is decoded yet.
    print(image.format, image.size, image.mode, "quality", image.info["quality"])
    print("by", image.getexif()[ExifTags.Base.Artist])
    image.convert("RGB").save("copy.jpg", exif=image.getexif())
