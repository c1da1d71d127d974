"""What quantizers do to models beyond the grid of test_grid.py: bits, and the clipping of latent weights."""

import keras
import numpy as np
import pytest
from autodiff import numpy

from tern_keras import profile, quantizers, ternarize
from tern_keras.layers import QuantDense
from tern_keras.quantizers import BinaryConnect

BITS = {"bc": 1, "bwn": 1, "bwn(per_filter=True)": 1, "dorefa": 1, "rel": 4, "rel(t_ex=3)": 6}


@pytest.mark.parametrize("name", sorted({*quantizers.ALIASES, *BITS}))
def test_bits(name):
    dense = keras.layers.Dense(3, name="dense")
    model = ternarize(keras.Sequential([keras.Input((16,)), dense]), name, skip=())
    bits = BITS.get(name, 2)
    weighed = profile(model)
    assert [row.bits for row in weighed.layers] == [bits]
    assert weighed.weights_compression == 32 / bits


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
