"""What holds for the package as a whole: docstring examples, independence of the backend, public names."""

import ast
import doctest
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import tern_keras


def _modules(package, prefix="tern_keras."):
    """Return the names of all modules but those of `tern_keras.tfmot`, whose import changes the process."""
    names = []
    for module in pkgutil.iter_modules(package.__path__, prefix):
        if module.name != "tern_keras.tfmot":
            names.append(module.name)
            if module.ispkg:
                names += _modules(importlib.import_module(module.name), f"{module.name}.")
    return sorted(names)


MODULES = _modules(tern_keras)
# the networks hold stock layers alone, and JAX compiles a program for each shape that they draw
EXAMPLES = [name for name in MODULES if keras.backend.backend() != "jax" or ".applications" not in name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_docstring_examples(name):
    # import_module returns the module also where a function of the same name hides it
    module = importlib.import_module(name)
    assert doctest.testmod(sys.modules[module.__name__]).failed == 0


def test_there_are_docstring_examples():
    finder = doctest.DocTestFinder()
    examples = [test for name in EXAMPLES for test in finder.find(sys.modules[name]) if test.examples]
    assert len(examples) >= 15


def test_no_module_imports_a_backend_or_the_exporter():
    for path in Path(tern_keras.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] not in {"tensorflow", "jax", "torch", "tflite_export"}, path


def test_public_names():
    assert tern_keras.__version__ == "0.1.0"
    for name in tern_keras.__all__:
        assert hasattr(tern_keras, name)
    assert callable(tern_keras.profile)
    assert callable(tern_keras.finalize)


def test_backend_follows_keras(tmp_path):
    script = (
        "import sys, keras, tern_keras; assert keras.backend.backend() == 'jax'; assert 'tensorflow' not in sys.modules"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(Path(tern_keras.__path__[0]).parent)}
    pytest.importorskip("jax")
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
