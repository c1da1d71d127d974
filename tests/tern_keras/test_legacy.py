import json

import h5py
import keras
import numpy as np
import pytest
from sample_models import samples, train

from tern_keras import finalize, load_h5, ternarize
from tern_keras.layers.base import QuantizedLayer


def age(path):
    """Rewrite a `.h5` file as Keras 2 would have written it."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] in ("DepthwiseConv2D", "Conv2DTranspose", "SeparableConv2D"):
                layer["config"]["groups"] = 1
            if layer["class_name"] == "LSTM":
                layer["config"]["time_major"] = False
            if layer["class_name"] == "SeparableConv2D":
                layer["config"].update(dict.fromkeys(["kernel_initializer", "kernel_regularizer", "kernel_constraint"]))
            if layer["class_name"] == "SpatialDropout2D":
                layer["config"].update(trainable=True, noise_shape=None)
            for value in layer["config"].values():
                if isinstance(value, dict) and value.get("class_name") in ("GlorotUniform", "Zeros", "Orthogonal"):
                    value["config"]["dtype"] = "float32"
        file.attrs["model_config"] = json.dumps(config)


@pytest.fixture
def model():
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.DepthwiseConv2D(3),
            keras.layers.SeparableConv2D(3, 2),
            keras.layers.SpatialDropout2D(0.1),
            keras.layers.Conv2DTranspose(2, 2),
            keras.layers.Reshape((16, 2)),
            keras.layers.LSTM(3),
        ]
    )


def test_old_configuration(model, tmp_path):
    path = tmp_path / "old.h5"
    model.save(path)
    age(path)
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError)):
        keras.models.load_model(path, compile=False)
    x = samples(model, 2)
    np.testing.assert_allclose(load_h5(path).predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    assert path.read_bytes() == before


class TestErrors:
    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.h5"):
            load_h5(tmp_path / "none.h5")

    def test_another_format(self, tmp_path):
        (tmp_path / "model.h5").write_text("no model")
        with pytest.raises(ValueError, match="is not an HDF5 file"):
            load_h5(tmp_path / "model.h5")

    def test_weights_alone(self, model, tmp_path):
        model.save_weights(tmp_path / "model.weights.h5")
        with pytest.raises(ValueError, match="holds weights without a model"):
            load_h5(tmp_path / "model.weights.h5")

    def test_argument_that_has_an_effect(self, model, tmp_path):
        path = tmp_path / "old.h5"
        model.save(path)
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            config["config"]["layers"][1]["config"]["groups"] = 2
            file.attrs["model_config"] = json.dumps(config)
        with pytest.raises(ValueError, match=rf"Keras {keras.__version__} cannot read .*old\.h5"):
            load_h5(path)


# on JAX, which compiles each for long, those two that Keras 3 reads with and without a repair
FILES = ["ad01.h5", "kws_model_qualcomm_v1.2.h5"]
if keras.backend.backend() == "tensorflow":
    FILES += ["ic_pretrainedResnet.h5", "str_ww_ref_model.h5", "vww_96.h5"]


@pytest.mark.shared
@pytest.mark.parametrize("name", FILES)
def test_real_file_is_read_ternarised_tuned_and_finalised(name, shared_dir):
    model = load_h5(shared_dir / "models" / "mlperf_tiny" / name)
    ternary = ternarize(model, "twn")
    quantised = [layer.name for layer in ternary.layers if isinstance(layer, QuantizedLayer)]
    assert len(quantised) >= 2
    before = keras.ops.convert_to_numpy(ternary.get_layer(quantised[0]).weights[0])
    train(ternary)
    assert (keras.ops.convert_to_numpy(ternary.get_layer(quantised[0]).weights[0]) != before).any()
    plain = finalize(ternary)
    for layer in quantised:
        assert len(np.unique(keras.ops.convert_to_numpy(plain.get_layer(layer).weights[0]))) <= 3
    x = samples(plain, 4)
    np.testing.assert_allclose(plain.predict(x, verbose=0), ternary.predict(x, verbose=0), rtol=1e-3, atol=1e-4)
