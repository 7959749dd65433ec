"""What tools and a hosting site read of the repository: workflows, forms, hooks, the changelog."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("schema", "paths"), [("github-workflows", WORKFLOWS), ("github-issue-forms", FORMS)])
def test_the_hosting_site_understands_its_files(schema: str, paths: list[Path]) -> None:
    assert paths
    words = ["-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, paths)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_runs_what_is_run_here() -> None:
    (workflow,) = WORKFLOWS
    text = workflow.read_text(encoding="utf-8")
    assert "run: bash .ci/run\n        shell: bash\n" in text
    for script in re.findall(r"python ([\w./]+\.py)|pytest -q ([\w./]+)", text):
        assert (ROOT / "".join(script)).exists()


def test_hooks_are_the_commands_of_the_tests() -> None:
    """Formatter, linter and types, in the same environment; the formatter may write."""
    entries = re.findall(r"^ *entry: (.*)$", read(".pre-commit-config.yaml"), re.MULTILINE)
    command = re.search(r"<!-- test command -->\n```sh\n(.*?)```", read("README.md"), re.DOTALL)
    assert command
    checks = [word.strip() for word in re.split("&&", command[1].replace(" --check", ""))]
    assert entries == [check.removesuffix(" .") for check in checks[2:-1]]


def test_the_changelog_has_the_form_that_it_names() -> None:
    text = read("CHANGELOG.md")
    heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert heads[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - (\d{4}-\d\d-\d\d|not published)", head) for head in heads[1:])
    assert heads[1].startswith(f"[{tomllib.loads(read('pyproject.toml'))['project']['version']}]")
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds
