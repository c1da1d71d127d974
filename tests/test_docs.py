"""The site: it builds without a warning, names all that is public, and what its pages show runs.

The README's own blocks are run by test_readme.py, and the examples in docstrings by the tests of the packages.
"""

import doctest
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from run_page import blocks

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
ENVIRONMENT = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(PROJECT)}


def _name(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built as `make docs` does."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--nitpicky", DOCS, out]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-5000:]
    return out


def _documented(site: Path) -> set[str]:
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, uri: uri)
    return {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    modules = {"tern_keras", "tflite_export"}
    public = set()
    while modules:
        module = importlib.import_module(modules.pop())
        for name in getattr(module, "__all__", ()):
            path = f"{module.__name__}.{name}"
            # where a module and a function share a name, the attribute is the function
            if isinstance(getattr(module, name), type(module)):
                modules.add(path)
            public.add(path)
    assert len(public) > 60
    assert public - _documented(site) == set()


def test_every_operator_of_the_c_is_listed() -> None:
    from tflite_export.lowering import LOWERINGS

    page = (DOCS / "what_the_c_covers.md").read_text()
    paragraph = page.split("## Operators")[1].strip().split("\n\n")[0]
    assert set(re.findall(r"[A-Z0-9_]+", paragraph)) == set(LOWERINGS)
    assert f"the {len(LOWERINGS)} operators" in (PROJECT / "README.md").read_text()


def test_formulas_are_blocks_and_bars_are_bars(site: Path) -> None:
    page = (site / "reference" / "ops.html").read_text()
    plain = re.sub(r"<[^>]+>", "", page)
    assert "Δ = factor · mean|w|,    α = mean of |w| over |w| &gt; Δ,    q = α · T" in plain
    assert not re.search(r"<blockquote>\s*<div><p>\s*[qΔRS] = ", page)


def test_the_site_needs_no_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        fetched = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', page.read_text())
        assert not fetched, page


def test_docstrings_of_the_hook() -> None:
    spec = importlib.util.spec_from_file_location("docstrings", DOCS / "docstrings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert doctest.testmod(module) == (0, 1)
    text = ["Sum of *args.", "", "| key | value |", "|-----|-------|", "", "Returns:", "    The files: all of |w|."]
    assert module.as_restructured_text(text) == [
        r"Sum of \*args.",
        "",
        ".. code-block:: text",
        "",
        "    | key | value |",
        "    |-----|-------|",
        "",
        "Returns:",
        "    \\",
        r"    The files: all of \|w\|.",
    ]
    fenced = ["Example:", "    ```python", "    f(**x)", "    ```", "    >>> 1 | 2", "    3"]
    assert module.as_restructured_text(fenced) == [
        "Example:",
        "    .. code-block:: python",
        "",
        "        f(**x)",
        "",
        "    >>> 1 | 2",
        "    3",
    ]
    assert module.as_restructured_text(["A `.tflite` of `f(|w|)`, see `ops.ttq`."]) == [
        "A ``.tflite`` of ``f(|w|)``, see `ops.ttq`."
    ]
    assert module.as_restructured_text(["Whether it is: so."], is_property=True) == ["\\", "Whether it is: so."]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=_name)
def test_page_runs(page: Path, tmp_path: Path, require_module: Callable[..., None]) -> None:
    if "tensorflow_model_optimization" in page.read_text():
        require_module("tensorflow_model_optimization", "tf_keras")
    # a process for each page: importing TFMOT changes what `tf.keras` is
    done = subprocess.run(
        [sys.executable, PROJECT / "tests" / "run_page.py", page],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_a_page_that_shows_another_result_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for shown, status in (("3", 0), ("4", 1)):
        page.write_text(f"```python\nx = 1\n```\n\n```python\n>>> x + 2\n{shown}\n```\n")
        done = subprocess.run([sys.executable, PROJECT / "tests" / "run_page.py", page], check=False)
        assert done.returncode == status


def test_pages_show_the_figures_of_the_runs() -> None:
    page = (DOCS / "choosing_a_method.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \|$", page, re.MULTILINE)
    assert {name for name, *_ in rows} == {"sq", "ttq", "twn"}
    for name, *shown in rows:
        results = json.loads((PROJECT / "benchmarks" / "results" / f"mnist_lenet5_{name}.json").read_text())
        measured = [results[f"accuracy_{where}"] for where in ("keras", "int8", "c")]
        assert [round(float(value) / 100, 6) for value in shown] == measured


def test_the_command_line_page_names_every_option() -> None:
    page = (DOCS / "reference" / "command_line.md").read_text()
    run = (sys.executable, "-m", "tflite_export.cli")
    for words in ((), ("export",), ("inspect",), ("verify",), ("run",)):
        text = subprocess.run([*run, *words, "--help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
        assert set(re.findall(r"--\w+", text)) - {"--help"} <= set(re.findall(r"--\w+", page))
        assert all(f"tern-keras {command}" in page for command in re.findall(r"^    (\w+) {2,}", text, re.MULTILINE))


def test_make_docs_builds_with_warnings_as_errors() -> None:
    assert "sphinx --fail-on-warning --keep-going --nitpicky docs" in (PROJECT / "Makefile").read_text()


def test_the_benchmarks_page_is_what_the_rows_say() -> None:
    command = (sys.executable, "benchmarks/page.py", "--check")
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
