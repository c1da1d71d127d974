import json

import keras
import pytest


@pytest.fixture(autouse=True)
def _reproducible():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def oracles(shared_dir):
    return json.loads((shared_dir / "oracles.json").read_text())
