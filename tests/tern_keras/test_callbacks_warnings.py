import keras
import numpy as np
import pytest
from callback_models import PENALTY, X, Y, diverging_model, fit, make_model, warned
from sample_models import JIT

from tern_keras.callbacks import LatentHistory, QuantizationMonitor
from tern_keras.callbacks.graph import Graph
from tern_keras.layers import ActivationQuantizer, QuantConv2D, QuantDense
from tern_keras.optimizers import SplitOptimizer
from tern_keras.quantizers import SQ


def begin(model):
    """A monitor that has seen `fit` begin, without a training."""
    monitor = QuantizationMonitor()
    monitor.set_model(model)
    monitor.on_train_begin()
    monitor.on_epoch_begin(0)
    return monitor


@pytest.mark.parametrize("make", [lambda: "sgd", lambda: SplitOptimizer(keras.optimizers.AdamW(1e-3), "sgd")])
def test_none_in_a_healthy_case(make):
    model = make_model(second=SQ(PENALTY), optimizer=make())
    with warned():
        fit(model, QuantizationMonitor(), validation_data=(X, Y), epochs=2)


def test_dead_kernel_once():
    model = make_model(optimizer=keras.optimizers.SGD(0.0))
    model.layers[-1].kernel.assign(np.zeros((8, 2)))
    monitor = QuantizationMonitor()
    with warned("Layer 'head': 2 of its 2 filters .* Lower the threshold"):
        fit(model, monitor, epochs=2)
    with warned():
        fit(model, monitor)


def test_filters_that_die_in_training():
    model = make_model(optimizer=keras.optimizers.SGD(0.0))
    kernel = np.full((4, 8), 0.01, np.float32)
    kernel[:, :3] = 1
    monitor = begin(model)
    model.layers[0].kernel.assign(kernel)
    with warned("'hidden': 5 of its 8 filters"):
        monitor.on_epoch_end(0, {})


@pytest.mark.parametrize(("alive", "patterns"), [(2, []), (1, ["'conv': 3 of its 4 filters"])])
def test_half_of_the_filters_may_be_zero(alive, patterns):
    model = keras.Sequential(
        [keras.Input((5, 5, 2)), QuantConv2D(4, 3, kernel_quantizer="twn", name="conv", use_bias=False)]
    )
    model.compile("sgd", "mse")
    kernel = np.zeros((3, 3, 2, 4), np.float32)
    kernel[0, 0, 0, :alive] = 0.5
    model.layers[0].kernel.assign(kernel)
    with warned(*patterns):
        begin(model)


@pytest.mark.parametrize("quantizer", ["ttq", "bc"])
def test_unit_scale_without_a_normalisation(quantizer):
    with warned("Layer 'hidden': the scale .* is 1.*init='mean'"):
        begin(make_model(quantizer, norm=False))


@pytest.mark.parametrize("quantizer", ["ttq(init='mean')", "bwn", "twn"])
def test_scales_that_need_no_normalisation(quantizer):
    with warned():
        begin(make_model(quantizer, norm=False))


@pytest.mark.parametrize("normalized", [True, False])
def test_unit_scale_in_a_graph(normalized):
    """Through a residual sum, a nested model, a wrapper and a bare operation."""
    norm = [keras.layers.BatchNormalization(name="norm")] if normalized else []
    block = keras.Sequential([keras.Input((6, 3)), keras.layers.ReLU(), *norm])
    inputs = keras.Input((6, 4))
    x = keras.layers.TimeDistributed(QuantDense(3, kernel_quantizer="bc", name="wrapped"))(inputs)
    y = QuantDense(3, kernel_quantizer="bc", name="side")(inputs)
    x = keras.ops.tanh(block(keras.layers.Add()([x, y])))
    model = keras.Model(inputs, QuantDense(2, kernel_quantizer="twn")(keras.layers.Flatten()(x)))
    model.compile("sgd", "mse")
    with warned(*([] if normalized else [r"Layers '(wrapped', 'side|side', 'wrapped)':"])):
        monitor = begin(model)
    with warned(*(["'norm'"] if normalized else [])):
        monitor.on_test_begin()


def test_unit_scale_before_a_nested_graph():
    inner = keras.Input((4,))
    inner = keras.Model(inner, QuantDense(2, kernel_quantizer="bc", name="inner")(inner), name="nested")
    model = keras.Sequential(
        [
            keras.Input((4,)),
            QuantDense(4, kernel_quantizer="bc", name="outer"),
            inner,
            keras.layers.BatchNormalization(),
        ]
    )
    model.compile("sgd", "mse")
    with warned("Layer 'outer':"):
        begin(model)


def test_one_way_past_the_normalisation():
    inputs = keras.Input((4,))
    x = QuantDense(4, kernel_quantizer="bc", name="forked")(inputs)
    x = keras.layers.Add()([keras.layers.LayerNormalization()(x), x])
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.compile("sgd", "mse")
    with warned("Layer 'forked':"):
        begin(model)


def test_two_ways_that_rejoin():
    inputs = keras.Input((4,))
    x = QuantDense(4, kernel_quantizer="bc", name="forked")(inputs)
    norm = keras.layers.BatchNormalization()
    x = norm(keras.layers.Add()([keras.layers.ReLU()(x), keras.ops.tanh(x)]))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    assert list(Graph(model).quantized_layers()) == [(model.get_layer("forked"), [norm], False)]


def test_unit_scale_at_the_output():
    with warned("Layer 'head':"):
        begin(make_model(second="bc"))


def test_ranges_of_activations_are_passed():
    inputs = keras.Input((4,))
    x = QuantDense(4, kernel_quantizer="bc")(inputs)
    x = keras.layers.BatchNormalization()(ActivationQuantizer()(x))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.compile("sgd", "mse")
    with warned():
        begin(model)


def test_shared_layer_once():
    shared = QuantDense(4, kernel_quantizer="bc", name="shared")
    inputs = keras.Input((4,))
    blocks = [keras.Sequential([keras.Input((4,)), shared]) for _ in range(2)]
    model = keras.Model(inputs, blocks[1](blocks[0](inputs)))
    model.compile("sgd", "mse")
    logs = {}
    with warned("Layer 'shared':"):
        begin(model).on_epoch_end(0, logs)
    assert {key for key in logs if key.endswith("/bits")} == {"shared/bits"}


def test_model_without_a_graph():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = QuantDense(2, kernel_quantizer="bc", name="inside")

        def call(self, x):
            return self.dense(x)

    model = Subclassed()
    model.compile("sgd", "mse", jit_compile=JIT)
    latent = LatentHistory()
    with warned():
        history = fit(model, QuantizationMonitor(), latent, epochs=2, validation_data=(X, Y))
    assert history["inside/density"] == [1, 1]
    assert latent.records["inside"].epochs.tolist()[-2:] == [1, 2]


def test_layer_that_is_never_called():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.used = QuantDense(2, kernel_quantizer="twn", name="used")
            self.unused = QuantDense(2, kernel_quantizer="twn", name="unused")

        def call(self, x):
            return self.used(x)

    model = Subclassed()
    model(X)
    model.compile("sgd", "mse", jit_compile=JIT)
    latent = LatentHistory()
    with warned():
        history = fit(model, QuantizationMonitor(), latent)
    assert "used/density" in history
    assert list(latent.records) == ["used"]


def test_evaluation_before_training():
    model, monitor = make_model(), QuantizationMonitor()
    with warned(r"Layer 'norm': .* 100% .*\(0 steps\).*recalibrate_batch_norm"):
        model.evaluate(X, Y, verbose=0, callbacks=[monitor])
    with warned():
        model.evaluate(X, Y, verbose=0, callbacks=[monitor])


def test_validation_after_few_steps():
    with warned(r"'norm'.* 98% .*\(2 steps\)"):
        fit(make_model(momentum=0.99), QuantizationMonitor(), validation_data=(X, Y))


def test_frozen_normalisation():
    model = make_model()
    model.layers[2].trainable = False
    with warned("'norm'.* 100% .*2 steps"):
        fit(model, QuantizationMonitor(), validation_data=(X, Y))


def test_evaluation_of_a_trained_model():
    model = make_model()
    fit(model)
    with warned():
        model.evaluate(X, Y, verbose=0, callbacks=[QuantizationMonitor()])


def test_statistics_that_no_quantised_layer_moves():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.BatchNormalization(), QuantDense(2, kernel_quantizer="twn")]
    )
    model.compile("sgd", "mse")
    with warned():
        begin(model).on_test_begin()


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.AdamW(1e-3),
        lambda: keras.optimizers.SGD(1e-3, weight_decay=1e-4),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW(1e-3)),
        lambda: SplitOptimizer("adam", keras.optimizers.AdamW(1e-3)),
    ],
)
def test_decay_of_scales(make):
    with warned("weight decay.*'[^' ]*wp', '[^' ]*wn'. Use .*SplitOptimizer"):
        begin(make_model(optimizer=make()))


def test_decay_with_the_scales_excluded():
    model = make_model(second=SQ(PENALTY))
    owned = [v for v in model.trainable_variables if getattr(v, "owned_by_quantizer", False)]
    assert len(owned) == 4
    optimizer = keras.optimizers.AdamW(1e-3)
    optimizer.exclude_from_weight_decay(var_list=owned)
    model.compile(optimizer, "mse", jit_compile=JIT)
    with warned():
        fit(model, QuantizationMonitor())


def test_decay_without_scales():
    with warned():
        begin(make_model("twn", "twn", optimizer=keras.optimizers.AdamW(1e-3)))


def test_beta_without_a_penalty():
    with warned("Layer 'head': β .*AdaptiveRegularizer"):
        begin(make_model(second="sq"))


def test_training_that_diverged_ends_in_good_order():
    model = diverging_model()
    with warned("NaN or infinite"):
        history = fit(model, keras.callbacks.TerminateOnNaN(), QuantizationMonitor(), epochs=3)
    assert len(history["loss"]) == 1


def test_long_lists_of_layers():
    layers = [QuantDense(4, kernel_quantizer="bc", name=f"d{i}") for i in range(6)]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    with warned("Layers 'd0', 'd1', 'd2', 'd3' and 2 more:"):
        begin(model)
