import numpy as np
import pytest

from tern_keras.levels import find_quantized

CODES = np.random.default_rng(0).integers(-1, 2, (3, 3, 4, 8)).astype(np.int8)
AXES = (0, 1, 2)


def found(kernel, axes=AXES):
    result = find_quantized(kernel.astype(np.float32), axes)
    np.testing.assert_array_equal(result.dequantize(), kernel.astype(np.float32))
    return result


def test_symmetric_ternary():
    result = found(CODES * 0.25)
    np.testing.assert_array_equal(result.codes, CODES)
    assert (result.bits, result.scales.size) == (2, 1)


def test_asymmetric_ternary():
    result = found(np.where(CODES < 0, -0.5, CODES * 0.25))
    assert result.scales.ravel().tolist() == [0.25, 0.5]


def test_one_scale_a_filter():
    result = found(CODES * np.linspace(0.1, 0.8, 8))
    assert result.scales.shape == (1, 1, 1, 1, 8)


def test_depthwise_filters():
    scales = np.linspace(0.1, 0.8, 32).reshape(1, 1, 4, 8)
    assert find_quantized((CODES * scales).astype(np.float32), AXES) is None
    wide = np.random.default_rng(0).integers(-1, 2, (5, 5, 4, 8)) * scales
    assert found(wide, (0, 1)).scales.size == 32


def test_binary():
    result = found(np.where(CODES < 0, -0.25, 0.25))
    assert (result.bits, result.scales.size) == (1, 1)


def test_one_sided():
    result = found(np.abs(CODES) * 0.25)
    assert (result.bits, result.scales.size) == (2, 1)


@pytest.mark.parametrize("shape", [(4, 8), (1, 8), (2, 2)])
def test_float_kernels(shape):
    kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert find_quantized(kernel, (0,)) is None
