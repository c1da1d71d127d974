"""What must hold for every kernel when its codes and scales are taken apart and put together."""

import numpy as np
import pytest
from autodiff import numpy
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from strategies import COUNT, FILTERS, kernels, properties

from tern_keras import quantizers
from tern_keras.levels import find_quantized
from tern_keras.quantizers import QuantizedSum, QuantizedTensor

SHAPE = (COUNT // 2, FILTERS)
QUANTIZERS = [
    "twn",
    "twn(per_filter=True)",
    "ttq(init='mean')",
    "ttq(sparsity=0.5, power_of_two=True)",
    "sq",
    "sq(per_filter=False, beta=1.57)",
    "bc",
    "bwn",
    "bwn(per_filter=True)",
    "dorefa(power_of_two=True)",
    "sws",
    "rel",
    "rel(t_ex=4, power_of_two=True)",
    "tga",
]
codes = arrays(np.int8, SHAPE, elements=st.integers(-1, 1))
positive = st.integers(1, 64).map(lambda k: np.float32(k / 64))


@pytest.mark.parametrize("name", QUANTIZERS)
@properties
@given(kernel=kernels())
def test_codes_and_scales_are_the_forward_pass(name, kernel):
    quantizer = quantizers.get(name)
    quantizer.attach(kernel)
    tensor = quantizer.quantized_tensor(kernel)
    binary = tensor.bits == 1
    # a layer that SQ finalises as binary loses the zeros of its forward pass
    kept = (tensor.codes != 0) & (numpy(quantizer(kernel)) != 0) if name.startswith("sq") and binary else Ellipsis
    np.testing.assert_array_equal(tensor.dequantize()[kept], numpy(quantizer(kernel))[kept])
    assert tensor.codes.shape == kernel.shape
    assert not (binary and (tensor.codes == 0).any())
    if isinstance(tensor, QuantizedSum):
        for outer, inner in zip(tensor.terms, tensor.terms[1:], strict=False):
            assert ((inner.codes == 0) | (inner.codes == outer.codes)).all()


@properties
@given(codes, positive, positive)
def test_a_layer_of_three_levels_is_found(codes, plus, minus):
    scales = np.reshape([plus, minus], (2, 1, 1))
    kernel = QuantizedTensor(codes, scales, bits=2).dequantize()
    found = find_quantized(kernel, (0,))
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.dequantize(), kernel)
    assert found.bits == (2 if (codes == 0).any() else 1)
    assert found.scales.size <= 2


@properties
@given(codes, arrays(np.int8, (2, 1, FILTERS), elements=st.integers(1, 64)))
def test_a_filter_of_three_levels_is_found(codes, scales):
    kernel = QuantizedTensor(codes, scales.astype(np.float32) / 64, bits=2).dequantize()
    found = find_quantized(kernel, (0,))
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.dequantize(), kernel)


@properties
@given(kernels())
def test_a_fourth_value_in_a_filter_is_not_ternary(kernel):
    assume(max(len(np.unique(one)) for one in kernel.T) > 3)
    assert find_quantized(kernel, (0,)) is None
