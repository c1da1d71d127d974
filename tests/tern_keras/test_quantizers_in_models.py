"""The quantizers without tests of their own in test_layers.py, inside models: trained, saved, finalised, weighed."""

import keras
import numpy as np
import pytest
from autodiff import numpy
from sample_models import samples, train

from tern_keras import finalize, profile, ternarize
from tern_keras.layers import QuantDense
from tern_keras.quantizers import BinaryConnect

# DoReFa is BWN with one scale; TWN, TTQ and SQ have their tests with the layers
ADDED = ["bc", "bwn(per_filter=True)", "sws(power_of_two=True)", "rel", "tga"]
BITS = {"bc": 1, "bwn": 1, "rel": 4}


def small_model():
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="dense"),
        ]
    )


@pytest.mark.parametrize("quantizer", ADDED)
def test_trains_saves_and_finalises(quantizer, tmp_path):
    model = ternarize(small_model(), quantizer, skip=())
    before = [numpy(v).copy() for v in model.trainable_variables]
    train(model)
    for old, variable in zip(before, model.trainable_variables, strict=True):
        assert np.isfinite(numpy(variable)).all()
        assert (old != numpy(variable)).any(), variable.path
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    x = samples(model)
    outputs = model.predict(x, verbose=0)
    np.testing.assert_array_equal(restored.predict(x, verbose=0), outputs)
    plain = finalize(model)
    np.testing.assert_allclose(plain.predict(x, verbose=0), outputs, rtol=1e-4, atol=1e-5)
    bits = BITS.get(quantizer.partition("(")[0], 2)
    assert [row.bits for row in profile(model).layers if row.kernel_shape] == [bits, bits]
    assert profile(model).weights_compression == 32 / bits
    for name in ("conv", "dense"):
        layer = model.get_layer(name)
        np.testing.assert_array_equal(layer.quantized_kernel().dequantize(), numpy(plain.get_layer(name).kernel))


def test_residual_expansion_counts_its_branches():
    layer = QuantDense(10, use_bias=False, kernel_quantizer="rel(t_ex=2)")
    model = keras.Sequential([keras.Input((8,)), layer])
    layer.kernel.assign(np.resize([1, -1, 0.07, 0, 0], (8, 10)))
    (row,) = profile(model).layers
    assert (row.method, row.bits, row.density) == ("rel", 4, 0.6)
    assert len(row.scales) == 2
    assert row.bytes == 80 * 4 // 8 + 2 * 4


class TestWeightClip:
    def after_a_huge_step(self, quantizer, **arguments):
        layer = QuantDense(4, kernel_quantizer=quantizer, **arguments)
        model = keras.Sequential([keras.Input((3,)), layer])
        model.compile(keras.optimizers.SGD(100.0), loss=lambda y, y_pred: keras.ops.sum(y_pred), jit_compile=False)
        model.fit(np.ones((4, 3), np.float32), np.zeros((4, 4), np.float32), verbose=0)
        return numpy(layer.kernel)

    def test_latent_weights_stay_in_the_unit_interval(self):
        np.testing.assert_array_equal(self.after_a_huge_step("bc"), np.full((3, 4), -1))

    def test_not_with_the_clipped_gradient_nor_with_others(self):
        for quantizer in (BinaryConnect(clip=True), "bwn"):
            assert (self.after_a_huge_step(quantizer) < -1).all()

    def test_follows_the_constraint_of_the_layer(self):
        constraint = keras.constraints.NonNeg()
        kernel = self.after_a_huge_step("bc", kernel_constraint=constraint)
        np.testing.assert_array_equal(kernel, np.zeros((3, 4)))
        alone = self.after_a_huge_step("bwn", kernel_constraint=constraint)
        np.testing.assert_array_equal(alone, np.zeros((3, 4)))
