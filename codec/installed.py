"""Which weights are installed, by the manifest of the weights folder, and what is in their files. Without torch."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import safetensors

from ..bitstream.container import FINGERPRINT_BYTES
from ..bitstream.errors import MissingWeightsError, WeightsError, WrongWeightsError
from .config import ModelConfig

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 2**20

MAX_BYTES = 2**28
"""A weights file beyond this is refused before it is read; today's have 26 MB."""

Array = TypeVar("Array")


@dataclass(frozen=True)
class Weights:
    """path: of a safetensors file; sha256: of its content, in lower-case hexadecimal."""

    path: Path
    sha256: str

    @property
    def fingerprint(self) -> bytes:
        """What a .cae file names them by."""
        return bytes.fromhex(self.sha256)[:FINGERPRINT_BYTES]


@functools.cache
def weights_folder() -> Path:
    """The folder of the installed weights."""
    return Path(str(resources.files("cae.weights")))


def installed_weights(folder: Path | None = None) -> tuple[Weights, ...]:
    """The weights that the manifest of a folder (the installed one if None) lists: first those that new files are
    written with ("file" and "sha256" of the manifest), then those that only old files need (the same of each object
    in its list "older", if there is one).

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
    """Those with this fingerprint, or those for new files if None. Raises as above, and WrongWeightsError."""
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


def read_weights(weights: Weights) -> bytes:
    """The content of a weights file. Raises MissingWeightsError, or WeightsError if it is not what is listed."""
    path = weights.path
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WeightsError(f"{path} has more than {MAX_BYTES:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise MissingWeightsError(
            f"no weights {weights.fingerprint.hex()} in {path.parent}: {path.name}: {error.strerror or error}"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != weights.sha256:
        raise WeightsError(f"{path} is damaged: its SHA-256 is {digest}, the manifest says {weights.sha256}")
    return data


def parse(
    data: bytes, name: str, load: Callable[[bytes], Mapping[str, Array]]
) -> tuple[ModelConfig, Mapping[str, Array]]:
    """The configuration and the tensors in the content of a weights file. Raises WeightsError, naming `name`.

    load: that of safetensors for the kind of arrays wanted."""
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        values: dict[str, Any] = json.loads(header["__metadata__"]["config"])
        return ModelConfig.from_dict(values), tensors
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{name} is not a file of weights: {error}") from error


def is_installed(fingerprint: bytes) -> bool:
    """Whether files that name these weights can be decoded here."""
    try:
        return any(weights.fingerprint == fingerprint for weights in installed_weights())
    except WeightsError:
        return False


def _entry(folder: Path, entry: dict[str, Any]) -> Weights:
    name, digest = entry["file"], entry["sha256"]
    # A plain name: a manifest cannot point out of its folder.
    if not re.fullmatch(r"[\w.-]+\.safetensors", name) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError(name)
    return Weights(folder / name, digest)
