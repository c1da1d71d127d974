"""What holds for the package as a whole: docstring examples, import rules, public names."""

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tflite_export

MODULES = sorted(module.name for module in pkgutil.iter_modules(tflite_export.__path__, "tflite_export."))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", [name for name in MODULES if name != "tflite_export.micro"])
def test_docstring_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name), optionflags=FLAGS).failed == 0


def test_there_are_docstring_examples() -> None:
    finder = doctest.DocTestFinder()
    examples = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(examples) >= 12


def test_public_names() -> None:
    for name in tflite_export.__all__:
        assert hasattr(tflite_export, name)
    with pytest.raises(AttributeError, match="no attribute 'pack_all'"):
        _ = tflite_export.pack_all


def test_importing_loads_neither_keras_nor_tensorflow() -> None:
    script = "import sys, tflite_export; assert not {'keras', 'tensorflow', 'tern_keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def _imported(path: Path) -> set[str]:
    """Return the modules that a file imports anywhere, inside of functions too."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return modules | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def test_only_the_conversion_imports_keras() -> None:
    imported = {path.name: _imported(path) for path in Path(tflite_export.__path__[0]).glob("*.py")}
    with_keras = {
        name
        for name, modules in imported.items()
        if {module.partition(".")[0] for module in modules} & {"keras", "tensorflow", "tern_keras"}
    }
    conversion = {"conversion.py", "activation_ranges.py", "recurrent_layers.py", "recurrent_ranges.py"}
    assert with_keras == conversion | {"cli.py", "pipeline.py"}  # cli: to load a file; pipeline: for types alone
    # the second is a part of the first
    assert [name for name in imported if "tflite_export.activation_ranges" in imported[name]] == ["conversion.py"]
