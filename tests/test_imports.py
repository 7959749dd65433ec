"""What may import what: the bitstream sees bytes and integers only, it opens no file and imports no other room; torch
is for a few rooms of the codec alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cae.bitstream

ROOM = Path(cae.bitstream.__path__[0])
MODULES = sorted(ROOM.glob("*.py"))
ALLOWED = {"bisect", "collections", "dataclasses", "itertools", "math", "numpy", "struct", "typing", "zlib"}
BUILTINS_THAT_REACH_OUT = {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"}


def test_the_room_is_not_empty() -> None:
    assert {path.stem for path in MODULES} >= {"alpha", "container", "entropy", "errors", "tables", "wire"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= ALLOWED
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").split(".")[0] in ALLOWED
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1, "relative imports stay within the room"
        elif isinstance(node, ast.Name):
            assert node.id not in BUILTINS_THAT_REACH_OUT


def test_nothing_heavy_is_loaded() -> None:
    names = ", ".join(f"cae.bitstream.{path.stem}" for path in MODULES if path.stem != "__init__")
    code = f"import sys, {names}; print(*sorted({{'torch', 'PIL', 'click', 'safetensors'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_torch_is_in_its_own_rooms() -> None:
    """Everything else of the codec can be imported without it, but for what loads those rooms."""
    import cae.codec

    folder = Path(cae.codec.__path__[0])
    paths = [path.relative_to(folder).with_suffix("") for path in folder.rglob("*.py") if path.stem != "__init__"]
    names = {
        ".".join(path.parts)
        for path in paths
        if not {"evaluation", "training"} & set(path.parts) and not path.name.startswith("torch_")
    }
    assert names > {"codec", "tile.coder", "encode.refine", "decode.decoder", "select", "backends.networks"}
    imports = "\n".join(f"import cae.codec.{name}" for name in sorted(names))
    code = f"import sys\nsys.modules['torch'] = None\n{imports}"
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_safetensors_is_for_writing_weights_alone() -> None:
    """Who has installed torch apart may not have it."""
    code = (
        "import sys; sys.modules['safetensors'] = None; import numpy\n"
        "from cae.codec.image.picture import read_picture; from cae.codec.torch_codec import load_codec\n"
        "load_codec('cpu').encode(read_picture(numpy.zeros((9, 9, 3), numpy.uint8)), 50)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
