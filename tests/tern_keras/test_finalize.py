import json
import os
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from sample_models import cnn, nested, samples, train, types

from tern_keras import finalize, quantizers, ternarize
from tern_keras.layers import QuantDense
from tern_keras.quantizers import SQ
from tern_keras.regularizers import AdaptiveRegularizer


@pytest.mark.parametrize("quantizer", ["twn", "twn(per_filter=True)", "ttq", "ttq(sparsity=0.5)", "sq"])
def test_stock_layers_with_the_same_outputs(quantizer):
    ternary = train(ternarize(cnn(), quantizer, skip=("first",)))
    plain = finalize(ternary)
    assert list(types(plain).values()) == list(types(cnn()).values())
    assert "tern_keras" not in json.dumps(plain.get_config())
    x = samples(plain)
    np.testing.assert_allclose(plain.predict(x, verbose=0), ternary.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_kernels_are_exactly_ternary():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "finalize")
        plain = finalize(train(ternarize(cnn(), "ttq", skip=())))
    for name in ("stem", "depthwise", "conv", "hidden", "head"):
        assert len(np.unique(plain.get_layer(name).kernel)) <= 3


def test_binary_layers_have_no_zero():
    ternary = train(ternarize(cnn(), "sq", skip=()))
    layer = ternary.get_layer("hidden")
    layer.kernel_quantizer.beta.assign(1.57)
    latent = keras.ops.convert_to_numpy(layer.kernel)
    zeros = (np.abs(latent) <= float(layer.kernel_quantizer.delta)).sum()
    assert zeros > 0
    with pytest.warns(UserWarning, match=rf"{zeros} of {latent.size} weights of 'hidden' \(kernel\) change side"):
        plain = finalize(ternary)
    kernel = keras.ops.convert_to_numpy(plain.get_layer("hidden").kernel)
    np.testing.assert_array_equal(np.abs(kernel), np.broadcast_to(np.abs(layer.kernel_quantizer.mu), kernel.shape))


def test_loads_without_this_package(tmp_path):
    penalty = AdaptiveRegularizer(0.1, 0.01)
    model = cnn()
    ternary = ternarize(model, SQ(regularizer=penalty), skip=("first",), overrides={"head": "ttq"})
    ternary.get_layer("hidden").kernel_regularizer = penalty
    plain = finalize(train(ternary))
    plain.save(tmp_path / "plain.keras")
    x = samples(plain)
    np.savez(tmp_path / "io.npz", x=x, y=plain.predict(x, verbose=0))
    script = (
        "import sys, keras, numpy as np\n"
        f"model = keras.models.load_model({str(tmp_path / 'plain.keras')!r})\n"
        f"data = np.load({str(tmp_path / 'io.npz')!r})\n"
        "np.testing.assert_allclose(model.predict(data['x'], verbose=0), data['y'], rtol=1e-5, atol=1e-6)\n"
        "assert not [name for name in sys.modules if name.startswith('tern_keras')]\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_nested_model():
    ternary = train(ternarize(nested(), "ttq", skip=()))
    plain = finalize(ternary)
    assert types(plain.get_layer("block")) == {"inner": "Conv2D"}
    x = samples(plain)
    np.testing.assert_allclose(plain.predict(x, verbose=0), ternary.predict(x, verbose=0), rtol=1e-4, atol=1e-6)


def test_mixed_precision_gives_the_same_outputs():
    keras.config.set_dtype_policy("mixed_bfloat16")
    ternary = train(ternarize(cnn(), "ttq"))
    plain = finalize(ternary)
    x = samples(plain)
    np.testing.assert_allclose(
        plain.predict(x, verbose=0).astype(np.float32),
        ternary.predict(x, verbose=0).astype(np.float32),
        rtol=2e-2,
        atol=2e-2,
    )


def test_training_goes_on_in_the_original():
    ternary = train(ternarize(cnn(), "ttq"))
    finalize(ternary)
    train(ternary)
    assert np.isfinite(ternary.predict(samples(ternary), verbose=0)).all()


def test_layer_without_a_quantizer_and_stock_layer_with_our_penalty():
    penalty = AdaptiveRegularizer(0.1, 0.01)
    model = keras.Sequential(
        [keras.Input((4,)), QuantDense(5, name="a"), keras.layers.Dense(3, kernel_regularizer=penalty, name="b")]
    )
    plain = finalize(model)
    assert types(plain) == {"a": "Dense", "b": "Dense"}
    assert "tern_keras" not in json.dumps(plain.get_config())
    for a, b in zip(plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_regularizers_stay():
    model = keras.Sequential(
        [keras.Input((4,)), QuantDense(5, kernel_quantizer="twn", kernel_regularizer="l2", name="a")]
    )
    assert isinstance(finalize(model).layers[0].kernel_regularizer, keras.regularizers.L2)


class TestErrors:
    def test_nan_weights(self):
        ternary = ternarize(cnn(), "twn")
        ternary.get_layer("conv").kernel.assign(np.full((3, 3, 4, 6), np.inf))
        with pytest.raises(ValueError, match="Layer 'conv': 216 of 216 values of its weight 'kernel'"):
            finalize(ternary)

    def test_unbuilt(self):
        with pytest.raises(ValueError, match=r"finalize\(\) needs a built model"):
            finalize(keras.Sequential([QuantDense(3, kernel_quantizer="twn")]))

    def test_not_a_model(self):
        with pytest.raises(
            TypeError, match=r"finalize\(\) takes a Keras 3 model, received tern_keras.layers.dense.QuantDense"
        ):
            finalize(QuantDense(3))

    def test_object_of_ours_in_a_layer_without_a_stock_sibling(self):
        class Mine(keras.layers.Layer):
            def call(self, inputs):
                return inputs

            def get_config(self):
                return {**super().get_config(), "quantizer": quantizers.serialize(quantizers.get("twn"))}

        model = keras.Sequential([keras.Input((4,)), Mine(name="mine")])
        with pytest.raises(ValueError, match=r"layer 'mine' \(Mine\) holds an object of tern_keras"):
            finalize(model)
