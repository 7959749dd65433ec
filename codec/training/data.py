"""Training images: random crops, as uint8 arrays, of the images in folders, files and tar archives."""

from __future__ import annotations

import io
import queue
import tarfile
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...bitstream.errors import InputError
from ..image.picture import SUFFIXES, read_picture, to_rgb
from ..model.arrays import Pixels
from ..model.distortion import LUMA
from . import augment, content

GREY_SHARE = 0.05
DOWNSCALE_SHARE = 0.25
"""Shares of the crops that are made grey, and that are reduced in size, by up to a half."""
REFRESH_SECONDS = 20.0
"""Seconds after which the sources are listed again."""


def list_files(source: Path) -> Iterator[Path]:
    """The image files and tar archives of a folder (searched deeply), or the file itself, in a stable order."""
    if source.is_dir():
        yield from (path for path in sorted(source.rglob("*")) if path.suffix.lower() in SUFFIXES | {".tar"})
    else:
        yield source


def read_images(path: Path) -> Iterator[tuple[str, bytes]]:
    """Reads (name, encoded image) of an image file or each image in a tar archive. Raises OSError, InputError."""
    if path.suffix.lower() == ".tar":
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    if file is not None and Path(member.name).suffix.lower() in SUFFIXES:
                        yield f"{path}:{member.name}", file.read()
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: {error}") from error
    else:
        yield str(path), path.read_bytes()


class CropSource:
    """Random crops of all images of `sources` with at least `smallest` pixels a side.

    drawn: the share of crops that are synthetic (content.py); changed: the share of the others that are augmented
    (augment.py). Decoded images stay in memory up to `cache_bytes`; beyond that they are decoded again for each crop.
    Raises InputError where there is no image."""

    def __init__(
        self,
        sources: Sequence[Path],
        *,
        smallest: int,
        drawn: float = 0.0,
        changed: float = 0.0,
        cache_bytes: int = 4 << 30,
    ) -> None:
        self.sources = list(sources)
        self.smallest, self.drawn, self.changed = smallest, drawn, changed
        self._cache_bytes = cache_bytes
        self._images: list[bytes | Pixels] = []
        self._read: set[Path] = set()
        self._growing: dict[Path, int] = {}
        self._refreshed = time.monotonic()
        self._refreshing = threading.Lock()  # loaders are several threads
        for path in self._unread():
            self._add(path)
        if not self._images:
            raise InputError(f"no image of at least {smallest} pixels a side in {[str(s) for s in sources]}")

    def refresh(self) -> None:
        """Takes in files that are new in the sources, once their size is the same in two calls. A broken one is left
        out, with a warning, so that a run goes on."""
        before = self._growing
        self._growing = {path: path.stat().st_size for path in self._unread()}
        for path, size in self._growing.items():
            if before.get(path) == size:
                try:
                    self._add(path)
                except (InputError, OSError) as error:
                    warnings.warn(f"{error}; left out", stacklevel=2)

    def _unread(self) -> list[Path]:
        return [path for source in self.sources for path in list_files(source) if path not in self._read]

    def _add(self, path: Path) -> None:
        self._read.add(path)
        for name, data in read_images(path):
            pixels = decode_image(data, name)
            if min(pixels.shape[:2]) < self.smallest:
                continue
            keep = pixels.nbytes <= self._cache_bytes
            self._cache_bytes -= pixels.nbytes if keep else 0
            self._images.append(pixels if keep else data)

    def __len__(self) -> int:
        return len(self._images)

    def crop(self, size: int, random: np.random.Generator, *, plain: bool = False) -> Pixels:
        """A crop, uint8 [size, size, 3], at times flipped, reduced or grey. plain: neither synthetic nor augmented."""
        if not plain and random.random() < self.drawn:
            return content.draw(size, random)
        image = self._images[random.integers(len(self._images))]
        pixels = decode_image(image, "a cached image") if isinstance(image, bytes) else image
        height, width = pixels.shape[:2]
        side = size
        if random.random() < DOWNSCALE_SHARE:
            side = int(min(size / random.uniform(0.5, 1), height, width))
        top = random.integers(height - side + 1)
        left = random.integers(width - side + 1)
        crop = pixels[top : top + side, left : left + side]
        if side != size:
            crop = np.asarray(Image.fromarray(crop).resize((size, size), Image.Resampling.LANCZOS))
        if not plain and random.random() < self.changed:
            crop = augment.change(crop, random)
        if random.random() < GREY_SHARE:
            crop = np.repeat((crop @ np.array(LUMA, np.float32)).round().astype(np.uint8)[..., None], 3, axis=2)
        if random.random() < 0.5:
            crop = crop[:, ::-1]
        if random.random() < 0.5:
            crop = crop[::-1]
        if random.random() < 0.5:
            crop = crop.transpose(1, 0, 2)
        return np.ascontiguousarray(crop)

    def batch(self, count: int, size: int, random: np.random.Generator) -> Pixels:
        """A batch of crops, uint8 [count, size, size, 3]; lists the sources again from time to time."""
        if time.monotonic() - self._refreshed > REFRESH_SECONDS and self._refreshing.acquire(blocking=False):
            try:
                self.refresh()
                self._refreshed = time.monotonic()
            finally:
                self._refreshing.release()
        return np.stack([self.crop(size, random) for _ in range(count)])


class Prefetch:
    """Makes batches in threads, a few ahead.

    The threads work in numpy and Pillow only: torch operations there would start a second team of OpenMP threads,
    which halves the training speed on small machines."""

    def __init__(self, makers: Sequence[Callable[[], Pixels]], ahead: int = 4) -> None:
        """Starts a thread for each of `makers`, which it calls for batches. ahead: batches that are kept waiting."""
        self._queue: queue.Queue[Pixels | BaseException] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(make,), daemon=True) for make in makers]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Prefetch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def next(self) -> Pixels:
        """The next batch, as soon as there is one. Raises what a maker raised."""
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def _work(self, make: Callable[[], Pixels]) -> None:
        while not self._stop.is_set():
            try:
                item: Pixels | BaseException = make()
            except Exception as error:  # handed to the consumer, who raises it
                item = error
            while not self._stop.is_set():
                try:
                    self._queue.put(item, timeout=0.1)
                    break
                except queue.Full:
                    continue


def patch_covariance(source: CropSource, random: np.random.Generator, crops: int = 2000) -> npt.NDArray[np.float64]:
    """The second moments of 16x16 patches in -0.5..0.5: float64 [768, 768], ordered by row, column, colour."""
    side = min(128, source.smallest // 16 * 16)
    total = np.zeros((768, 768))
    count = 0
    for _ in range(crops):
        pixels = source.crop(side, random).astype(np.float32) / 255 - 0.5
        patches = pixels.reshape(side // 16, 16, side // 16, 16, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 768)
        total += patches.T @ patches
        count += len(patches)
    return total / count


def decode_image(data: bytes, name: str) -> Pixels:
    """Decodes an image file to uint8 [H, W, 3]. Raises InputError, naming the image, if it cannot be read."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode in ("L", "RGB"):  # `read_picture` lets one thread in at a time, the loader has several
                return np.asarray(image.convert("RGB"))
        return to_rgb(read_picture(io.BytesIO(data)).pixels)
    except Exception as error:  # Pillow's decoders raise nearly anything
        raise InputError(f"{name}: {error}") from error
