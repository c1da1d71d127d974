"""Every quantised layer with every quantizer.

One model a quantizer holds all the layers side by side, each with its input, its output and its loss: it is compiled,
trained and saved once, and each test looks at one layer of it.
"""

from contextlib import contextmanager
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from autodiff import numpy
from sample_layers import LAYERS, QUANTIZERS, inputs, kernels, make_layer, make_parent, side_by_side
from sample_models import JIT

from tern_keras import finalize, quantizers
from tern_keras.layers import QUANTIZED_CLASSES, kernel_specs
from tern_keras.layers.base import stock_weights

RATE = 0.1
# pairs, so that the mean is 0; some of them on each side of every threshold, also in the smallest kernel
SPREAD = np.float32([0.5, -0.5, 0.04, -0.04, 0.01, -0.01, 0.3, -0.3])
X = [inputs(kind, count=4) for kind in LAYERS]


@pytest.fixture(params=LAYERS)
def kind(request):
    return request.param


@pytest.fixture(scope="module", params=QUANTIZERS)
def method(request):
    return request.param


def grid(method):
    make, _ = QUANTIZERS[method]

    def layer(kind, name):
        each = {spec.argument: make() for spec in LAYERS[kind][0].kernel_specs}
        return make_layer(kind, **each, name=name)

    return side_by_side(layer)


def spread_out(model):
    """Give each kernel weights on both sides of the thresholds, and the quantizers the state for them."""
    rng = np.random.default_rng(0)
    for kind in LAYERS:
        layer = model.get_layer(kind)
        for role, kernel in kernels(layer).items():
            kernel.assign(rng.permutation(np.resize(SPREAD, kernel.shape).ravel()).reshape(kernel.shape))
            getattr(layer, f"{role}_quantizer").calibrate(kernel)


def outputs(model):
    return {kind: numpy(output) for kind, output in model(X).items()}


def values(layer):
    return [numpy(weight).copy() for weight in layer.weights]


def all_values(model):
    return {kind: values(model.get_layer(kind)) for kind in LAYERS}


def fit_one_step(model, optimizer=None, **arguments):
    model.compile(optimizer or keras.optimizers.SGD(RATE), "mse", **arguments)
    shapes = model.compute_output_shape([x.shape for x in X])
    y = {kind: np.ones([4, *shape[1:]], np.float32) for kind, shape in shapes.items()}
    model.train_on_batch(X, y)


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def assert_deployed(layer, forward):
    """The kernels of the forward pass are those that the layer deploys."""
    deployed = layer.quantized_kernels()
    assert forward.keys() == deployed.keys() == kernels(layer).keys()
    for role, kernel in forward.items():
        expected = keras.ops.cast(deployed[role].dequantize(), layer.compute_dtype)
        assert keras.backend.standardize_dtype(kernel.dtype) == layer.compute_dtype
        np.testing.assert_array_equal(as_float32(kernel), as_float32(expected))


def as_float32(tensor):
    return numpy(keras.ops.cast(tensor, "float32"))


def test_the_grid_is_complete():
    assert {cls for cls, *_ in LAYERS.values()} == set(QUANTIZED_CLASSES.values())
    assert {name: type(make()) for name, (make, _) in QUANTIZERS.items()} == quantizers.ALIASES


@pytest.fixture(scope="module")
def built(method):
    keras.utils.set_random_seed(0)
    model = grid(method)
    initial = all_values(model)
    for layer in map(model.get_layer, LAYERS):
        for role, kernel in kernels(layer).items():
            getattr(layer, f"{role}_quantizer").calibrate(kernel)
    return SimpleNamespace(model=model, initial=initial)


class TestBuild:
    def test_weights_are_the_parents_and_the_quantizers(self, built, kind):
        layer, parent = built.model.get_layer(kind), make_parent(kind)
        parent.build((None, *LAYERS[kind][2]))
        own = stock_weights(layer)
        assert [(w.name, w.shape, w.trainable) for w in own] == [(w.name, w.shape, w.trainable) for w in parent.weights]
        state = [w for spec in layer.kernel_specs for w in getattr(layer, spec.argument).weights]
        assert {w.path for w in layer.weights} == {w.path for w in own + state}
        assert len(layer.weights) == len(own) + len(state)
        assert {w.dtype for w in layer.weights} == {"float32"}

    def test_state_starts_from_the_initial_kernel(self, built, kind):
        for initial, calibrated in zip(built.initial[kind], values(built.model.get_layer(kind)), strict=True):
            np.testing.assert_allclose(initial, calibrated, rtol=1e-6)


@pytest.fixture(scope="module")
def fresh(method):
    """The model before training, and what it computes with and without the compiler."""
    model = grid(method)
    spread_out(model)
    model.compile(jit_compile=True)
    return SimpleNamespace(model=model, eager=outputs(model), compiled=model.predict(X, verbose=0))


class TestForward:
    def test_kernels_take_exactly_the_levels(self, fresh, method, kind):
        layer = fresh.model.get_layer(kind)
        forward = layer.forward_kernels()
        assert_deployed(layer, forward)
        _, codes = QUANTIZERS[method]
        for role, deployed in layer.quantized_kernels().items():
            assert set(np.unique(deployed.codes)) == codes
            spec = next(spec for spec in layer.kernel_specs if spec.role == role)
            quantized = numpy(forward[role])
            filters = np.moveaxis(quantized, spec.channel_axes, range(len(spec.channel_axes)))
            filters = filters.reshape(-1, np.prod(quantized.shape) // np.prod(filters.shape[: len(spec.channel_axes)]))
            assert max(len(np.unique(one)) for one in filters) <= len(codes)

    def test_latent_kernels_stay(self, fresh, kind):
        for kernel in kernels(fresh.model.get_layer(kind)).values():
            assert set(np.unique(numpy(kernel))) <= set(SPREAD)
            assert len(np.unique(numpy(kernel))) >= 6

    def test_compiled_equals_eager(self, fresh, kind):
        np.testing.assert_allclose(fresh.compiled[kind], fresh.eager[kind], rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def trained(method):
    model = grid(method)
    spread_out(model)
    before = all_values(model)
    fit_one_step(model, jit_compile=JIT)
    return SimpleNamespace(model=model, before=before, outputs=outputs(model))


class TestFit:
    def test_moves_every_trainable_weight_and_no_other(self, trained, kind):
        layer = trained.model.get_layer(kind)
        for weight, before, after in zip(layer.weights, trained.before[kind], values(layer), strict=True):
            assert np.isfinite(after).all(), weight.path
            assert (after != before).any() == weight.trainable, weight.path

    def test_kernels_stay_latent(self, trained, kind):
        layer = trained.model.get_layer(kind)
        assert_deployed(layer, layer.forward_kernels())
        for kernel in kernels(layer).values():
            assert isinstance(kernel, keras.Variable)
            assert len(np.unique(numpy(kernel))) >= 6


@pytest.fixture(scope="module")
def restored(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("grid") / "model.keras"
    trained.model.save(path)
    model = keras.models.load_model(path)
    return SimpleNamespace(model=model, outputs=outputs(model))


@pytest.fixture(scope="module")
def reloaded(method, trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("grid") / "model.weights.h5"
    trained.model.save_weights(path)
    model = grid(method)
    model.load_weights(path)
    return model


class TestSaving:
    def test_same_state(self, trained, restored, kind):
        layer, copy = trained.model.get_layer(kind), restored.model.get_layer(kind)
        assert copy.get_config() == layer.get_config()
        assert [w.path for w in copy.weights] == [w.path for w in layer.weights]
        assert_same(values(copy), values(layer))

    def test_same_outputs(self, trained, restored, kind):
        np.testing.assert_array_equal(restored.outputs[kind], trained.outputs[kind])

    def test_weights_file(self, trained, reloaded, kind):
        assert_same(values(reloaded.get_layer(kind)), values(trained.model.get_layer(kind)))


@pytest.fixture(scope="module")
def clone(trained):
    model = keras.models.clone_model(trained.model)
    model.set_weights(trained.model.get_weights())
    return SimpleNamespace(model=model, outputs=outputs(model))


class TestClone:
    def test_same_outputs_from_quantizers_of_its_own(self, trained, clone, kind):
        layer, copy = trained.model.get_layer(kind), clone.model.get_layer(kind)
        assert copy.get_config() == layer.get_config()
        for spec in layer.kernel_specs:
            assert getattr(copy, spec.argument) is not getattr(layer, spec.argument)
        np.testing.assert_array_equal(clone.outputs[kind], trained.outputs[kind])


@pytest.fixture(scope="module")
def plain(trained):
    model = finalize(trained.model)
    return SimpleNamespace(model=model, outputs=outputs(model))


class TestFinalize:
    def test_stock_layer_with_the_quantised_kernels(self, trained, plain, kind):
        layer, stock = trained.model.get_layer(kind), plain.model.get_layer(kind)
        assert QUANTIZED_CLASSES[type(stock)] is type(layer)
        for role, kernel in layer.quantized_kernels().items():
            np.testing.assert_array_equal(numpy(kernels(stock)[role]), kernel.dequantize())

    def test_same_outputs(self, trained, plain, kind):
        np.testing.assert_allclose(plain.outputs[kind], trained.outputs[kind], rtol=1e-5, atol=1e-6)


@contextmanager
def dtype_policy(name):
    keras.config.set_dtype_policy(name)
    yield
    keras.config.set_dtype_policy("float32")


def fit_quickly(*models, optimizer=None):
    """A step without what takes most of its time in a test: TensorFlow's graph, and JAX's optimisations."""
    if keras.backend.backend() != "jax":
        for model in models:
            fit_one_step(model, optimizer, run_eagerly=True)
        return
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    for model in models:
        fit_one_step(model, optimizer, jit_compile=True)
    jax.config.update("jax_disable_most_optimizations", False)


# JAX compiles for long, and one half precision takes the same way as the other
MIXED = ["mixed_bfloat16"] if keras.backend.backend() == "jax" else ["mixed_bfloat16", "mixed_float16"]


@pytest.fixture(scope="module", params=MIXED)
def mixed(method, request):
    with dtype_policy(request.param):
        model = grid(method)
        spread_out(model)
        before = all_values(model)
        # a scale of the loss at which float16 does not overflow, where the step would be left out
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(RATE), initial_scale=8.0)
        fit_quickly(model, optimizer=optimizer)
        forward = forward_kernels_under_autocast(model, request.param)
    return SimpleNamespace(
        model=model, before=before, forward=forward, compute_dtype=request.param.removeprefix("mixed_")
    )


class TestMixedPrecision:
    def test_moves_float32_weights(self, mixed, kind):
        layer = mixed.model.get_layer(kind)
        assert {w.dtype for w in layer.weights} == {"float32"}
        for weight, before, after in zip(layer.weights, mixed.before[kind], values(layer), strict=True):
            assert np.isfinite(after).all(), weight.path
            assert (after != before).any() == weight.trainable, weight.path

    def test_kernels_of_the_forward_pass(self, mixed, kind):
        layer = mixed.model.get_layer(kind)
        assert layer.compute_dtype == mixed.compute_dtype
        assert_deployed(layer, mixed.forward[kind])


def forward_kernels_under_autocast(model, policy):
    """The kernels as the layers see them inside a model, where Keras casts variables to the compute dtype."""
    seen = {}

    def record(x):
        seen.update({kind: model.get_layer(kind).forward_kernels() for kind in LAYERS})
        return x

    keras.layers.Lambda(record, dtype=policy)(np.ones((1, 1), np.float32))
    return seen


WP, WN = 0.75, 0.5


@pytest.fixture(scope="module")
def steps():
    """The kernels of a TTQ model and of its finalised copy, before and after the same step."""
    model = side_by_side(lambda kind, name: make_layer(kind, "ttq", name=name))
    spread_out(model)
    for layer in map(model.get_layer, LAYERS):
        for spec in layer.kernel_specs:
            getattr(layer, spec.argument).set_weights([np.float32(WP), np.float32(WN)])
    stock = finalize(model)
    before = all_kernels(model), all_kernels(stock)
    fit_one_step(model, jit_compile=JIT)
    fit_quickly(stock)
    return SimpleNamespace(model=model, before=before, after=(all_kernels(model), all_kernels(stock)))


def all_kernels(model):
    return {
        kind: {role: numpy(kernel).copy() for role, kernel in kernels(model.get_layer(kind)).items()} for kind in LAYERS
    }


class TestGradient:
    """A step moves the latent kernels by the published gradient of TTQ, from the gradient of the stock layers."""

    def test_of_latent_kernels_and_scales(self, steps, kind):
        for spec in kernel_specs(steps.model.get_layer(kind)):
            latent, deployed = (
                (before[kind][spec.role] - after[kind][spec.role]) / RATE
                for before, after in zip(steps.before, steps.after, strict=True)
            )
            w = steps.before[0][kind][spec.role]
            above, below = w > 0.05 * w.max(), w < -0.05 * w.max()
            quantizer = getattr(steps.model.get_layer(kind), spec.argument)
            wp, wn = (WP - numpy(quantizer.wp)) / RATE, (WN - numpy(quantizer.wn)) / RATE
            tolerance = {"rtol": 1e-4, "atol": 1e-5}
            np.testing.assert_allclose(latent, deployed * np.where(above, WP, np.where(below, WN, 1)), **tolerance)
            np.testing.assert_allclose(wp, deployed[above].sum(), **tolerance)
            np.testing.assert_allclose(wn, -deployed[below].sum(), **tolerance)


@pytest.fixture(scope="module")
def pair():
    parents, ours = side_by_side(make_parent), side_by_side(make_layer)
    for kind in LAYERS:
        ours.get_layer(kind).set_weights(parents.get_layer(kind).get_weights())
    fit_quickly(parents, ours)
    return SimpleNamespace(parents=parents, ours=ours, outputs=(outputs(parents), outputs(ours)))


class TestWithoutAQuantizer:
    """It is the parent, bit for bit, in a step of training too."""

    def test_same_weights_and_configuration(self, pair, kind):
        parent, layer = pair.parents.get_layer(kind), pair.ours.get_layer(kind)
        assert [w.path for w in layer.weights] == [w.path for w in parent.weights]
        assert_same(values(layer), values(parent))
        config = layer.get_config()
        assert [config.pop(spec.argument) for spec in layer.kernel_specs] == [None] * len(layer.kernel_specs)
        assert config == parent.get_config()
        assert layer.quantized_kernels() == {}

    def test_same_outputs(self, pair, kind):
        expected, actual = pair.outputs
        np.testing.assert_array_equal(actual[kind], expected[kind])
