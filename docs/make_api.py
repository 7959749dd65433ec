"""Makes pages of the modules from their docstrings, to be read without a network.

    pip install -e ".[docs]" && python docs/make_api.py build/api

The commands are left out, cli.md has them. A warning is an error.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import pdoc

import cae

LEFT_OUT = {"__main__", "cli", "_kernels"}
"""Parts of the names of modules without a page: one that runs when it is imported, the commands, a library."""

ARRAY = re.compile(
    r"numpy\.ndarray\[(?:tuple\[)?typing\.Any(?:, \.\.\.\])?, numpy\.dtype\[(?:numpy\.)?([~\w.]+(?:\[[\w.]+\])?)\]\]"
)
"""The type that numpy.typing.NDArray[...] stands for, as text."""


def modules() -> list[str]:
    """The names of all modules that have a page, packages before what is in them."""
    found = (module.name for module in pkgutil.walk_packages(cae.__path__, "cae."))
    return ["cae", *(name for name in found if not LEFT_OUT & set(name.split(".")))]


def make(folder: Path) -> None:
    """Writes the pages into a folder. Raises the first warning."""
    # pdoc sees only what is in a module, not what its __getattr__ gives.
    for name in cae.__all__:
        setattr(cae, name, getattr(cae, name))
    for name in modules():
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, type) and issubclass(value, tuple) and value.__module__ == name:
                mend_named_tuple(value)
    pdoc.render.configure(
        docformat="markdown",
        footer_text=f"cae {cae.__version__}",
        template_directory=Path(__file__).parent / "templates",
    )
    pdoc.render.env.filters["name_parameters"] = name_parameters
    # Modules that a package names in __all__ come with it.
    rooms = [name for name in modules() if name.count(".") < 2 and name.removeprefix("cae.") not in cae.__all__]
    with (
        warnings.catch_warnings(),
        # pdoc passes types through the first of these functions, the values of aliases through the second.
        patch("pdoc.doc._remove_collections_abc", shortened(pdoc.doc._remove_collections_abc)),
        patch("pdoc.doc._remove_memory_addresses", shortened(pdoc.doc._remove_memory_addresses)),
    ):
        warnings.simplefilter("error")
        # Pillow's base classes of the plugin name types that are not there at run time.
        warnings.filterwarnings("ignore", message=".*(PIL|ImagingCore)")
        pdoc.pdoc(*rooms, *(rf"!.*\.{name}$" for name in LEFT_OUT), output_directory=folder)


def mend_named_tuple(kind: Any) -> None:
    """Corrects a named tuple for pdoc. Its constructor names a module in which its types are unknown; the docstrings
    that Python gives it and its fields explain nothing."""
    kind.__new__.__module__ = kind.__module__
    kind.__new__.__doc__ = ""
    for field in kind._fields:
        getattr(kind, field).__doc__ = ""


def shortened(function: Callable[[str], str]) -> Callable[[str], str]:
    """A function of text that returns what `function` does, with types of arrays as NDArray[...]."""
    return lambda text: ARRAY.sub(r"NDArray[\1]", function(text))


def name_parameters(docstring: str, subject: pdoc.doc.Doc[Any]) -> str:
    """A docstring with each parameter or field that it explains, and what is raised, in a line of its own."""
    if isinstance(subject, pdoc.doc.Function):
        names = list(subject.signature.parameters)
    elif isinstance(subject, pdoc.doc.Class):
        names = [member.name for member in subject.own_members]
    else:
        return docstring
    one = "|".join(map(re.escape, names)) or "(?!)"
    explained = re.compile(rf"(^|\n\n|\n|(?<=[.;]) )((?:{one})(?:, (?:{one}))*): ")

    def emphasised(match: re.Match[str]) -> str:
        before = match[1] if match[1] in ("", "\n\n") else "<br>\n"
        return f"{before}**{match[2]}**: "

    return explained.sub(emphasised, docstring).replace("\nRaises ", "<br>\nRaises ")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Write the pages into FOLDER; index.html is the first."""
    make(folder)
    print(folder / "index.html")


if __name__ == "__main__":
    main()
