"""What the package depends on and does not do: no network, no pickle, no code from data, no other programs."""

from __future__ import annotations

import ast
import re
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path for room in ("bitstream", "cli", "codec", "src", "weights") for path in (ROOT / room).rglob("*.py")
)

FORBIDDEN_MODULES = {
    "asyncio", "cffi", "code", "ctypes", "dill", "ftplib", "http", "joblib", "marshal", "pickle",
    "pty", "requests", "runpy", "shelve", "smtplib", "socket", "socketserver", "ssl", "subprocess", "telnetlib",
    "urllib", "urllib3", "xmlrpc",
}  # fmt: skip
FORBIDDEN_CALLS = {"__import__", "compile", "eval", "exec", "execfile"}
FORBIDDEN_METHODS = {
    "os": {"system", "popen", "execv", "execve", "execvp", "spawnl", "spawnv", "fork", "startfile"},
    "torch": {"hub", "compile"},
    "np": {"fromfile"},
}


def modules(tree: ast.AST) -> set[str]:
    """The first part of the name of each module that is imported by its full name."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


def calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_there_are_sources() -> None:
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # These call compiled code, which is the package's own.
    names = "kernels/coding.py", "kernels/entropy.py", "kernels/instructions.py", "native_layers.py"
    native = {ROOT / "codec" / "backends" / name for name in names}
    allowed = {"ctypes"} if path in native else set()
    assert not modules(tree) & FORBIDDEN_MODULES - allowed
    for call in calls(tree):
        function = call.func
        options = {keyword.arg: keyword.value for keyword in call.keywords}
        if isinstance(function, ast.Name):
            assert function.id not in FORBIDDEN_CALLS, ast.unparse(call)
        elif isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            owner, name = function.value.id, function.attr
            assert name not in FORBIDDEN_METHODS.get(owner, ()), ast.unparse(call)
            if (owner, name) == ("torch", "load"):  # without this it would unpickle anything
                assert ast.unparse(options.get("weights_only", ast.Constant(None))) == "True", ast.unparse(call)
            if (owner, name) == ("np", "load"):
                assert "allow_pickle" not in options, ast.unparse(call)
        assert "shell" not in options, ast.unparse(call)


def test_dependencies_are_few_and_bounded() -> None:
    names = set()
    for requirement in requires("cae-codec") or ():
        if "extra ==" not in requirement:
            match = re.fullmatch(r"([\w-]+)(<[\d.]+),(>=[\d.]+)", requirement)
            assert match, requirement
            names.add(match[1])
    assert names == {"numpy", "pillow", "click"}
