"""Forks while other threads read, write and code pictures: no child waits for a thread that it does not have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cae.codec.image import pillow_settings as settings
from cae.codec.image.picture import Picture, read_picture
from cae.codec.image.save import save_picture

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")

PIXELS = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def read_and_write() -> None:
    file = BytesIO()
    save_picture(Picture(PIXELS), file, "png")
    assert np.array_equal(read_picture(BytesIO(file.getvalue())).pixels, PIXELS)


def ends_well(child: int, seconds: float = 60) -> bool:
    """Whether a child ends with 0; one that hangs is killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_forks_under_load() -> None:
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            read_and_write()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            child = os.fork()
            if not child:
                code = 1
                try:
                    read_and_write()
                    alone = (Image.MAX_IMAGE_PIXELS, settings._inside) == (before[0], [])
                    code = 0 if alone else 2
                finally:
                    os._exit(code)
            assert ends_well(child)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


def test_threads_share_the_settings() -> None:
    """The last one out puts them back, whichever that is; meanwhile Pillow's limit suits all."""
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    assert before[0] is not None
    first, second = settings.pillow_settings(10**9), settings.pillow_settings(2 * before[0])
    assert first.__enter__()
    assert not second.__enter__()  # Pillow lets more pass now
    assert Image.MAX_IMAGE_PIXELS == 10**9 // 2
    first.__exit__(None, None, None)
    assert before[0] == Image.MAX_IMAGE_PIXELS
    warnings.warn("not heard", stacklevel=1)
    second.__exit__(None, None, None)
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


CODE = """
import sys
import threading
import numpy as np
import torch
import cae

class Files(torch.utils.data.Dataset):
    def __init__(self, paths):
        self.paths = paths
    def __len__(self):
        return len(self.paths)
    def __getitem__(self, index):
        image = np.array(cae.decode(self.paths[index]))
        return torch.from_numpy(image), len(cae.encode(image, effort=1))

if __name__ == "__main__":
    start, folder = sys.argv[1:]
    paths = [f"{folder}/{index}.cae" for index in range(12)]
    for index, path in enumerate(paths):
        pixels = np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        open(path, "wb").write(cae.encode(pixels, effort=1))
    files = Files(paths)
    images, sizes = zip(*(files[index] for index in range(12)))
    threading.Thread(target=lambda: [files[index] for index in range(12)]).start()
    loader = torch.utils.data.DataLoader(files, batch_size=4, num_workers=2, multiprocessing_context=start)
    found = list(loader)
    assert torch.equal(torch.cat([batch for batch, _ in found]), torch.stack(images))
    assert torch.cat([lengths for _, lengths in found]).tolist() == list(sizes)
"""


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_loaders_of_torch(start: str, tmp_path: Path) -> None:
    """Workers decode files and encode pictures, while another thread does so where they are forked or started."""
    pytest.importorskip("torch")
    (tmp_path / "load.py").write_text(CODE)
    subprocess.run([sys.executable, str(tmp_path / "load.py"), start, str(tmp_path)], check=True, timeout=300)
