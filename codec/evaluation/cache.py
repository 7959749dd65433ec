"""Results of measurements on disk: one small JSON file each, there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ..machine.files import write_file


def default_folder() -> Path:
    """The folder of results where none is named: $XDG_CACHE_HOME/cae/rd-curve, or ~/.cache/cae/rd-curve."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cae" / "rd-curve"


class Cache:
    """Results in files named by a digest of their key; a damaged file counts as none. Without a folder it is empty."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, key: dict[str, Any]) -> dict[str, Any] | None:
        """The result for a key of JSON values, None if there is none."""
        if self.folder is None:
            return None
        try:
            value = json.loads(self._path(self.folder, key).read_bytes())
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def put(self, key: dict[str, Any], value: dict[str, Any]) -> None:
        """Keep a result. Raises OSError."""
        if self.folder is None:
            return
        path = self._path(self.folder, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, json.dumps(value).encode())  # whoever reads or interrupts meanwhile finds the old or the new

    @staticmethod
    def _path(folder: Path, key: dict[str, Any]) -> Path:
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return folder / name[:2] / f"{name[2:]}.json"
