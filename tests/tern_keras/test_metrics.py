import keras
import numpy as np
import pytest

from tern_keras.layers import QuantDense
from tern_keras.metrics import FlipRatio


def updated(*updates):
    metric = FlipRatio(shape=np.shape(updates[0]))
    for codes in updates:
        metric.update_state(codes)
    return metric


@pytest.mark.parametrize(
    ("updates", "expected"),
    [
        ([[1, 0, -1, 1]], 0),
        ([[1, 0, -1, 1], [1, 0, -1, 1]], 0),
        ([[1, 0, -1, 1], [1, 0, -1, -1], [0, 1, -1, -1]], (1 / 4 + 2 / 4) / 2),
        ([[[1, -1]], [[-1, 1]]], 1),
    ],
)
def test_mean_share_of_changes(updates, expected):
    assert float(updated(*updates).result()) == pytest.approx(expected)


def test_quantised_kernels_count_by_their_signs():
    assert float(updated([0.3, -0.2, 0.0], [0.5, -0.5, 0.1]).result()) == pytest.approx(1 / 3)


def test_reset_forgets_the_codes():
    metric = updated([1, 1], [-1, 1])
    metric.reset_state()
    metric.update_state([0, 0])
    assert float(metric.result()) == 0
    metric.update_state([0, 1])
    assert float(metric.result()) == 0.5


def test_other_shape():
    with pytest.raises(ValueError, match=r"expected codes of shape \(2,\), received \(3,\)"):
        FlipRatio(shape=(2,)).update_state([1, 1, 1])


def test_shape_that_is_a_number():
    with pytest.raises(TypeError, match=r"expected the shape of the kernel.* received 4"):
        FlipRatio(4)


def test_is_no_metric_of_predictions():
    model = keras.Sequential([keras.Input((4,)), QuantDense(2, kernel_quantizer="twn")])
    model.compile("sgd", "mse", metrics=[FlipRatio(shape=(4, 2))])
    with pytest.raises(TypeError, match=r"leave it out of compile\(\).*QuantizationMonitor"):
        model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)


def test_configuration_round_trip():
    metric = FlipRatio(shape=(2, 3), name="flips")
    restored = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(restored) is FlipRatio
    assert restored.get_config() == metric.get_config()
    restored.update_state(np.zeros((2, 3)))


def test_stateless_in_a_compiled_function():
    metric = FlipRatio(shape=(4,))
    updates = np.array([[1, 0, -1, 1], [1, 0, -1, -1], [0, 1, -1, -1]], np.int8)

    def run(variables, updates):
        for codes in updates:
            variables = metric.stateless_update_state(variables, codes)
        return variables, metric.stateless_result(variables)

    initial = [keras.ops.convert_to_tensor(v) for v in metric.variables]
    if keras.backend.backend() == "jax":
        import jax

        variables, result = jax.jit(run)(initial, updates)
    else:
        import tensorflow as tf

        variables, result = tf.function(run, jit_compile=True)(initial, tuple(map(tf.constant, updates)))
    assert float(result) == pytest.approx(0.375)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(variables[0]), updates[-1])
    assert float(metric.result()) == 0  # the metric itself is as it was


def test_half_precision_counts_in_float32():
    metric = FlipRatio(shape=(2,), dtype="float16")
    metric.update_state([0, 0])
    metric.updates.assign(5001)
    metric.total.assign(2500.0)
    assert float(metric.result()) == 0.5


def test_codes_of_a_layer():
    layer = QuantDense(3, kernel_quantizer="twn")
    layer.build((None, 4))
    metric = FlipRatio(shape=layer.kernel.shape)
    metric.update_state(layer.quantized_kernel().codes)
    changed = np.count_nonzero(layer.quantized_kernel().codes)
    layer.kernel.assign(-layer.kernel)
    metric.update_state(layer.quantized_kernel().codes)
    assert float(metric.result()) == pytest.approx(changed / 12)
