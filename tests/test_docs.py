"""The documentation: examples that run, commands as they are, links that lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "bitstream" / "FORMAT.md"]


@pytest.mark.slow
def test_examples_of_the_python_interface_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(skimage.data.chelsea()).save(tmp_path / "photo.png")  # type: ignore[no-untyped-call]
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) >= 5
    names: dict[str, object] = {}
    for example in examples:
        exec(example, names)


def test_the_page_of_commands_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_cli", ROOT / "docs" / "make_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.document() == (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), "run docs/make_cli.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_that_pages_name_exist(page: Path) -> None:
    known = set(re.findall(r"`(--[a-z-]+)`", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")))
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if re.search(r"\bcae [a-z]", line)]
    used = {option for line in lines if "torchrun" not in line for option in re.findall(r"(?<![\w-])--[a-z-]+", line)}
    assert used <= known | {"--help"}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "cli.md"], ids=lambda page: page.stem)
def test_lines_fit(page: Path) -> None:
    """Prose has the width of the code; tables and code blocks have their own."""
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 120 and not line.startswith(("|", "    "))] == []
