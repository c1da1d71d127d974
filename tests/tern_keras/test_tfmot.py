"""`tern_keras.tfmot` in a process of its own: importing TFMOT makes tf.keras tf_keras for the rest of a process."""

import importlib
import subprocess
import sys
from pathlib import Path

import keras
import pytest

SCRIPT = Path(__file__).with_name("tfmot_process.py")

if keras.config.backend() == "tensorflow":

    def test_in_a_process_of_its_own(require_module):
        require_module("tensorflow_model_optimization", "tf_keras")
        options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(SCRIPT.parents[2])]
        result = subprocess.run(
            [sys.executable, "-m", "pytest", *options, str(SCRIPT)], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]

    def test_without_the_extra(monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorflow_model_optimization", None)
        with pytest.raises(ImportError, match=r"pip install 'tern-keras\[tfmot\]'"):
            importlib.import_module("tern_keras.tfmot")

else:

    def test_other_backends_are_refused():
        with pytest.raises(ImportError, match="needs the TensorFlow backend of Keras"):
            importlib.import_module("tern_keras.tfmot")
