"""What holds for the package as a whole: docstring examples, independence of the backend, public names."""

import ast
import doctest
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tern_keras

ROOT = Path(tern_keras.__path__[0])


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


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    # import_module returns the module also where a function of the same name hides it
    module = importlib.import_module(name)
    assert doctest.testmod(sys.modules[module.__name__]).failed == 0


def test_there_are_docstring_examples():
    finder = doctest.DocTestFinder()
    examples = [test for name in MODULES for test in finder.find(sys.modules[name]) if test.examples]
    assert len(examples) >= 15


def _imports():
    """Yield each file of the package, and each module that it names in an import."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((path, f"{node.module}.{alias.name}") for alias in node.names)


def test_no_module_imports_a_backend_or_the_exporter():
    for path, name in _imports():
        assert name.split(".")[0] not in {"tensorflow", "jax", "torch", "tflite_export"}, path


def test_nothing_imports_tfmot_but_its_adapter_and_nothing_imports_that():
    for path, name in _imports():
        if ROOT / "tfmot" not in path.parents:
            assert name.split(".")[0] not in {"tensorflow_model_optimization", "tf_keras"}, path
            assert not f"{name}.".startswith("tern_keras.tfmot."), path


def test_public_names():
    assert tern_keras.__version__ == "0.1.0"
    for name in tern_keras.__all__:
        assert hasattr(tern_keras, name)
    assert callable(tern_keras.profile)
    assert callable(tern_keras.finalize)


def test_backend_follows_keras(tmp_path, require_module):
    require_module("jax")
    script = (
        "import sys, keras, tern_keras; assert keras.backend.backend() == 'jax'; "
        "assert not {'tensorflow', 'tf_keras', 'tensorflow_model_optimization'} & set(sys.modules)"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT.parent)}
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
