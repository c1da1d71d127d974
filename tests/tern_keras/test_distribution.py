"""Training on two devices: MirroredStrategy on TensorFlow, DataParallel on JAX."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from distributed_run import DEVICES, MODELS

import tern_keras
from tern_keras.ops.sq import BETA_MIN

SCRIPT = Path(__file__).with_name("distributed_run.py")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """What one process with two devices wrote."""
    path = tmp_path_factory.mktemp("distribution") / "run.npz"
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(tern_keras.__path__[0]).parent),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={DEVICES}",
    }
    done = subprocess.run(
        [sys.executable, SCRIPT, path], env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(path) as values:
        return dict(values)


@pytest.fixture(scope="module")
def run(file):
    """The variables by model, number of devices and name."""
    result = {}
    for key, value in file.items():
        if key != "refusal":
            model, devices, name = key.split("/", 2)
            result.setdefault((model, int(devices)), {})[name] = value
    return result


@pytest.mark.parametrize("model", MODELS)
class TestTwoDevices:
    def test_end_where_one_does(self, model, run):
        one, two = run[model, 1], run[model, DEVICES]
        assert list(one) == list(two)
        for name, value in two.items():
            np.testing.assert_allclose(value[0], one[name][0], rtol=1e-5, atol=1e-6, err_msg=name)

    def test_hold_equal_replicas(self, model, run):
        for name, value in run[model, DEVICES].items():
            assert len(value) == DEVICES, name
            np.testing.assert_array_equal(value[0], value[1], err_msg=name)

    def test_everything_trains_and_the_constraints_bind(self, model, run):
        end = run[model, DEVICES]
        starts = {name: value for name, value in end.items() if name.startswith("start ")}
        still = {name[6:] for name, value in starts.items() if (value == end[name[6:]]).all()}
        # the standard deviations of the initial weights, and a beta without a penalty
        assert {name.rpartition("/")[2] for name in still} == {"sigma", "beta"}
        assert len(still) == 3
        (beta,) = [value for name, value in end.items() if name.startswith("sq_adaptive") and name.endswith("beta")]
        assert beta[0] == np.float32(BETA_MIN)
        # four steps of Adam go 0.2 at most
        assert np.abs(end["start bc/kernel"]).max() > 1.2
        assert np.abs(end["bc/kernel"]).max() <= 1


def test_two_passes_refuse_to_scale_the_loss_on_replicas(file):
    expected = "'model' cannot scale its loss on 2 replicas" if keras.backend.backend() == "tensorflow" else ""
    assert expected in str(file["refusal"])
    assert bool(expected) == bool(str(file["refusal"]))
