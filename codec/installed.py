"""Which weights are installed: the manifest of the weights folder. No torch is needed to know."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..bitstream.container import FINGERPRINT_BYTES
from ..bitstream.errors import MissingWeightsError, WeightsError, WrongWeightsError

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 2**20


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
