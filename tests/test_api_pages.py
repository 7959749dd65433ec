"""The pages of the modules: made from docstrings without a warning, and all that is public is there."""

from __future__ import annotations

import posixpath
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import cae
from cae.bitstream import errors

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "docs" / "make_api.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The text of each page by its path."""
    folder = tmp_path_factory.mktemp("pages")
    done = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}
    assert done.stdout.strip() == str(folder / "index.html")
    return found


def test_every_module_has_a_page(pages: dict[str, str]) -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    for package in setuptools["packages"]:
        if package == "cae.cli":
            continue
        room = ROOT / "src" / "cae" if package == "cae" else ROOT.joinpath(*package.split(".")[1:])
        for path in room.glob("*.py"):
            name = package if path.stem == "__init__" else f"{package}.{path.stem}"
            assert path.stem == "__main__" or f"{name.replace('.', '/')}.html" in pages, name


def test_every_public_name_is_described(pages: dict[str, str]) -> None:
    for name in cae.__all__:
        if isinstance(getattr(cae, name), ModuleType):
            assert f"cae/{name}.html" in pages
        else:
            assert f'<section id="{name}">' in pages["cae.html"], name
    for name in vars(errors):
        if name.endswith("Error"):
            assert f'<section id="{name}">' in pages["cae/bitstream/errors.html"], name
    assert 'id="CaeImageFile"' in pages["cae/pillow.html"]
    # Parameters and fields have lines of their own.
    assert "<strong>target_psnr</strong>" not in pages["cae.html"]  # explained within what the quality is
    for name in ("image", "quality", "effort", "max_pixels", "region", "chunk_bytes"):
        assert f"<strong>{name}</strong>: " in pages["cae.html"], name


def test_docstrings_are_not_mistaken_for_markup(pages: dict[str, str]) -> None:
    """As two stars are, or a line that begins with a number and a point."""
    for name, page in pages.items():
        for docstring in re.findall(r'<div class="docstring">(.*?)</div>', page, re.DOTALL):
            assert set(re.findall(r"<([a-z]+[1-6]?)", docstring)) <= {
                "a",
                "br",
                "code",
                "p",
                "pre",
                "span",
                "strong",
            }, name


def test_types_of_arrays_are_as_they_were_written(pages: dict[str, str]) -> None:
    assert "NDArray[" in re.sub("<[^>]*>", "", pages["cae.html"])
    for name, page in pages.items():
        signatures = re.findall(r'<span class="signature.*?</div>', page, re.DOTALL)
        assert not [text for text in signatures if "ndarray" in text], name


def test_pages_need_no_network_and_links_lead_somewhere(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        loaded = re.findall(r"(?:<link[^>]*href=|src=|@import |url\()[\"']?(\w+:)", page)
        assert set(loaded) <= {"data:"}, name
        markup = re.sub("<script.*?</script>", "", page, flags=re.DOTALL)
        for target, anchor in re.findall(r'<a[^>]*href="([^"#:]*)#?([^":]*)"', markup):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) if target else name
            assert path in pages, f"{name}: {target}"
            assert not anchor or f'id="{anchor}"' in pages[path], f"{name}: {target}#{anchor}"


def test_a_warning_is_an_error(tmp_path: Path) -> None:
    code = (
        "import runpy, sys, pathlib, cae.bitstream\n"
        "cae.bitstream.__all__ = ['missing']\n"
        "runpy.run_path(sys.argv[1])['make'](pathlib.Path(sys.argv[2]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, SCRIPT, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "UserWarning: Found 'missing' in cae.bitstream.__all__" in done.stderr
