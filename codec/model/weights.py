"""Weights files: which are installed, by the manifest of their folder, and the tensors in them, read without torch.

Files are mapped into memory, not read: several processes share them, and nothing is copied but what a layer makes of
its tensors.
"""

from __future__ import annotations

import functools
import hashlib
import json
import mmap
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ...bitstream.errors import MissingWeightsError, WeightsError, WrongWeightsError
from ...bitstream.header import FINGERPRINT_BYTES
from .arrays import AnyArray
from .config import ModelConfig

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 2**20

MAX_BYTES = 2**28
"""Largest weights file that is read; today's have 26 MB."""

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
"""numpy's dtypes by their names in a safetensors file."""

Content = bytes | mmap.mmap
"""The bytes of a weights file, mapped or read."""


@dataclass(frozen=True)
class Weights:
    """A weights file as a manifest lists it. path: of a safetensors file. sha256: of its content, in lower-case
    hexadecimal."""

    path: Path
    sha256: str

    @property
    def fingerprint(self) -> bytes:
        """The first FINGERPRINT_BYTES of the SHA-256, by which a .cae file names its weights."""
        return bytes.fromhex(self.sha256)[:FINGERPRINT_BYTES]


@functools.cache
def weights_folder() -> Path:
    """The folder of the installed weights."""
    return Path(str(resources.files("cae.weights")))


def installed_weights(folder: Path | None = None) -> tuple[Weights, ...]:
    """The weights that the manifest of a folder (the installed one if None) lists: first those for new files, by the
    manifest's "file" and "sha256", then those that only old files need, by "file" and "sha256" of each object in its
    list "older", if there is one.

    Raises MissingWeightsError, or WeightsError for a malformed manifest.
    """
    folder = folder or weights_folder()
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise WeightsError(f"{path} has more than {MAX_MANIFEST_BYTES} bytes")
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return tuple(_entry(folder, entry) for entry in (manifest, *manifest.get("older", ())))
    except OSError as error:
        raise MissingWeightsError(f"no weights in {folder}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path} is malformed") from error


def find_weights(folder: Path | None = None, fingerprint: bytes | None = None) -> Weights:
    """The weights in a folder (the installed one if None) with this fingerprint, or those for new files if None.

    Raises MissingWeightsError, WeightsError for a malformed manifest, or WrongWeightsError if none has the fingerprint.
    """
    weights = installed_weights(folder)
    if fingerprint is None:
        return weights[0]
    for candidate in weights:
        if candidate.fingerprint == fingerprint:
            return candidate
    names = ", ".join(candidate.fingerprint.hex() for candidate in weights)
    raise WrongWeightsError(
        f"the file needs weights {fingerprint.hex()}, which {(folder or weights_folder()) / MANIFEST} does not list; "
        f"installed: {names}"
    )


def find_restoration(folder: Path | None = None) -> Weights:
    """The weights for restoration that the manifest of a folder (the installed one if None) lists beside those for new
    files, which they belong to: its object "restoration" with "file", "sha256" and "of", the SHA-256 of the others.

    Raises MissingWeightsError where there are none, or none of these weights; WeightsError for a malformed manifest.
    """
    folder = folder or weights_folder()
    shipped = find_weights(folder)
    entry = json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("restoration")
    if entry is None or entry.get("of") != shipped.sha256:
        raise MissingWeightsError(f"no weights for restoration beside {shipped.path}")
    try:
        return _entry(folder, entry)
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder / MANIFEST} is malformed") from error


def read_weights(weights: Weights) -> Content:
    """The content of a weights file. Raises MissingWeightsError if it cannot be read, WeightsError if it is too large
    or has another SHA-256."""
    path = weights.path
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WeightsError(f"{path} has more than {MAX_BYTES:,} bytes")
        with path.open("rb") as file:
            try:
                data: Content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):  # some network file systems map nothing, and nobody an empty file
                data = file.read()
    except OSError as error:
        raise MissingWeightsError(
            f"no weights {weights.fingerprint.hex()} in {path.parent}: {path.name}: {error.strerror or error}"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != weights.sha256:
        raise WeightsError(f"{path} is damaged: its SHA-256 is {digest}, the manifest says {weights.sha256}")
    return data


def parse(data: Content, name: str) -> tuple[ModelConfig, dict[str, AnyArray]]:
    """The configuration and the tensors, by name, in the content of a weights file (FORMAT.md, section 8). The tensors
    share its memory and cannot be written to. name: of the file, for errors. Raises WeightsError."""
    content = memoryview(data)
    start = 8 + int.from_bytes(content[:8], "little")
    try:
        header = json.loads(bytes(content[8:start]))
        values: dict[str, Any] = json.loads(header.pop("__metadata__")["config"])
        tensors = {key: _tensor(content[start:], **entry) for key, entry in header.items()}
        # Without gaps or overlaps, so that all tensors together have no more bytes than the file.
        places = sorted(tuple(entry["data_offsets"]) for entry in header.values())
        ends = [0, *(end for _, end in places)]
        if [begin for begin, _ in places] != ends[:-1] or ends[-1] != len(content) - start:
            raise ValueError("there are gaps or overlaps between the tensors")
        return ModelConfig.from_dict(values), tensors
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise WeightsError(f"{name} is not a file of weights: {error}") from error


def _tensor(content: memoryview, dtype: str, shape: list[int], data_offsets: list[int]) -> AnyArray:
    """The tensor that an entry of the header describes. Raises ValueError, KeyError or TypeError for an entry that is
    malformed or beyond the content."""
    begin, end = data_offsets
    if not 0 <= begin <= end <= len(content) or any(size < 0 for size in shape):
        raise ValueError("a tensor is beyond the end")
    array = np.frombuffer(content[begin:end], TYPES[dtype]).reshape(shape)
    if not array.flags.aligned:
        raise ValueError("a tensor is not aligned")
    return array


def is_installed(fingerprint: bytes) -> bool:
    """Whether files that name these weights can be decoded here."""
    try:
        return any(weights.fingerprint == fingerprint for weights in installed_weights())
    except WeightsError:
        return False


def _entry(folder: Path, entry: dict[str, Any]) -> Weights:
    """The weights that an object of a manifest names. Raises ValueError, KeyError or TypeError."""
    name, digest = entry["file"], entry["sha256"]
    # A plain name: a manifest cannot point out of its folder.
    if not re.fullmatch(r"[\w.-]+\.safetensors", name) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError(name)
    return Weights(folder / name, digest)
