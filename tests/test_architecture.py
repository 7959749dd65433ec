"""docs/architecture.md against the code: every room is on the page, with the imports that it has, and no other."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS, CODEC = ROOT / "docs", ROOT / "codec"


def page() -> dict[str, set[str]]:
    """What each room may import, from the top down."""
    rooms = {}
    for line in (DOCS / "architecture.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and re.fullmatch("`[^`]+`", cells[0]):
            rooms[cells[0].strip("`")] = set(re.findall("`([^`]+)`", cells[2]))
    return rooms


def room_of(path: Path) -> str:
    """Of a module, relative to codec/: its folder, or the module itself where it is in none."""
    return path.as_posix() if len(path.parts) == 1 else f"{path.parent.as_posix()}/"


def imports(path: Path) -> set[str]:
    """The rooms that a module imports from, wherever in it, but its own."""
    found, folder = set(), ("codec", *path.parts[:-1])
    for node in ast.walk(ast.parse((CODEC / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "cae" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert (node.module or "").split(".")[0] != "cae", "imports within the package are relative"
        elif isinstance(node, ast.ImportFrom):
            top, *parts = *folder[: len(folder) + 1 - node.level], *(node.module or "").split(".")
            assert top in ("codec", "bitstream"), f"{path} reaches out of codec/"
            inside = Path(*filter(None, parts))
            modules = [inside / name.name for name in node.names] if (CODEC / inside).is_dir() else [inside]
            found |= {room_of(module.with_suffix(".py")) for module in modules if top == "codec"}
    return found - {room_of(path)}


def test_the_page_is_the_code() -> None:
    allowed = page()
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in (path.relative_to(CODEC) for path in CODEC.rglob("*.py") if path.stem != "__init__"):
        found[room_of(path)] |= imports(path)
    assert set(found) == set(allowed)
    assert dict(found) == allowed
    order = list(allowed)
    assert [(room, other) for room in order for other in allowed[room] if order.index(other) <= order.index(room)] == []


def test_the_picture_names_modules_that_are_there() -> None:
    text = (DOCS / "architecture.svg").read_text(encoding="utf-8")
    names = set(re.findall(r"[\w/]+(?:\.py|/)(?=[<, ])", re.sub(r"<(?!/)[^>]*>", "", text)))
    assert len(names) > 20
    places = {path.as_posix() for room in (CODEC, ROOT / "bitstream") for path in (room, *room.rglob("*"))}
    assert [name for name in names if not any(place.endswith(f"/{name.rstrip('/')}") for place in places)] == []


def test_where_to_add_names_what_is_there() -> None:
    """Of each row every file exists, and every name is in one of the files that the row names."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8").split("## Where to add")[1]
    modules = [path for path in ROOT.rglob("*") if path.is_file() and not {"build", ".venv"} & set(path.parts)]
    for row in text.splitlines():
        quoted = re.findall("`([^`*]+)`", row)
        files = [name for name in (*quoted, *re.findall(r"[\w/-]+\.(?:toml|md)", row)) if re.search(r"\.\w+$|/$", name)]
        found = {name: [path for path in modules if f"/{name}" in path.as_posix()] for name in files}
        assert [name for name in files if not found[name]] == [], row
        content = "".join(path.read_text(encoding="utf-8") for paths in found.values() for path in paths[:20])
        names = [name for name in quoted if re.fullmatch(r"[A-Za-z_]\w*", name)]
        assert [name for name in names if not re.search(rf"\b{name}\b", content)] == [], row
