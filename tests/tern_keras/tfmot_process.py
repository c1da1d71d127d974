"""The tests of `tern_keras.tfmot`. They need a process of their own, in which `test_tfmot.py` has pytest run them."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from sklearn.datasets import load_digits
from tensorflow_model_optimization.quantization import keras as tfmot
from tf_keras import layers

import tern_keras.tfmot
from tern_keras import finalize
from tern_keras.layers import QUANTIZED_CLASSES, ActivationQuantizer
from tern_keras.quantizers import SQ
from tern_keras.regularizers import AdaptiveRegularizer
from tern_keras.tfmot import TernaryQuantizeConfig, TernaryQuantizeScheme, from_tfmot
from tflite_export import Graph, export, find_levels

KERNELS = {"conv": "kernel", "depthwise": "depthwise_kernel", "pointwise": "kernel", "head": "kernel"}
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def annotated(layer, quantizer="twn", **kwargs):
    return tfmot.quantize_annotate_layer(layer, TernaryQuantizeConfig(quantizer, **kwargs))


def quantized(*model_layers, shape):
    return tfmot.quantize_apply(tf_keras.Sequential([tf_keras.Input(shape), *model_layers]))


def digits_model(quantizer):
    """What TFMOT fuses: a convolution with batch normalisation and ReLU, one with ReLU, one with its activation."""
    model = tf_keras.Sequential(
        [
            tf_keras.Input((8, 8, 1)),
            annotated(layers.Conv2D(8, 3, use_bias=False, name="conv"), quantizer),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            annotated(layers.DepthwiseConv2D(3, name="depthwise"), quantizer),
            layers.ReLU(6.0, name="relu6"),
            annotated(layers.Conv2D(12, 1, activation="relu", name="pointwise"), quantizer),
            layers.Flatten(name="flatten"),
            annotated(layers.Dense(10, activation="softmax", name="head"), quantizer),
        ],
        name="digits",
    )
    return tfmot.quantize_apply(tfmot.quantize_annotate_model(model), TernaryQuantizeScheme())


def to_tflite(model):
    """The int8 file that TFMOT's users make."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return (x.reshape(-1, 8, 8, 1) / 16).astype(np.float32), y


@pytest.fixture(scope="module", params=["twn(per_filter=True)", "ttq"])
def trained(request, digits):
    tf_keras.utils.set_random_seed(0)
    model = digits_model(request.param)
    model.compile(tf_keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", ["accuracy"])
    model.loss_before = model.evaluate(*digits, verbose=0)[0]
    model.fit(*digits, epochs=3, batch_size=64, verbose=0)
    return model


@pytest.fixture(scope="module")
def direct(trained):
    return to_tflite(trained)


def test_docstring_examples():
    names = [module.name for module in pkgutil.walk_packages(tern_keras.tfmot.__path__, "tern_keras.tfmot.")]
    results = [doctest.testmod(importlib.import_module(name)) for name in names]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 10


def test_keras_3_stays_beside_tf_keras():
    assert keras.__version__.startswith("3.")
    assert not issubclass(tf_keras.Model, keras.Model)


class TestTraining:
    def test_the_model_learns(self, trained, digits):
        loss, accuracy = trained.evaluate(*digits, verbose=0)
        assert loss < 0.6 * trained.loss_before
        assert accuracy > 0.6

    def test_kernels_of_the_forward_pass_are_ternary(self, trained, digits):
        trained(digits[0][:1])  # leaves the quantised kernels in the layers
        for name, attribute in KERNELS.items():
            kernel = np.asarray(getattr(trained.get_layer(f"quant_{name}").layer, attribute))
            channels = kernel.reshape(-1, kernel.shape[2 if name == "depthwise" else -1])
            assert 1 < max(len(np.unique(channel)) for channel in channels.T) <= 3

    def test_only_the_outputs_of_fused_layers_are_quantised(self, trained):
        ranges = {weight.name.split("/")[0] for weight in trained.weights if weight.name.endswith("_max:0")}
        names = {"quant_relu", "quant_relu6", "quant_pointwise", "quant_head"}
        assert {name for name in ranges if not name.startswith("quantize_layer")} == names

    def test_scales_start_calibrated_and_train(self):
        model = quantized(annotated(layers.Dense(3, activation="relu", name="dense"), "ttq"), shape=(16,))
        scales = {w.name.split("_")[-1]: w for w in model.trainable_weights if w.shape.rank == 0}
        before = {name: float(scale) for name, scale in scales.items()}
        latent = model.get_layer("quant_dense").trainable_weights[0].numpy()
        above = latent > 0.05 * np.abs(latent).max()
        assert before["wp:0"] == pytest.approx(latent[above].mean(), rel=1e-5)
        model.compile(tf_keras.optimizers.SGD(0.1), "mse")
        rng = np.random.default_rng(0)
        model.fit(rng.normal(size=(32, 16)), rng.normal(size=(32, 3)), verbose=0)
        assert all(float(scale) != before[name] for name, scale in scales.items())
        assert set(scales) == {"wp:0", "wn:0"}

    @pytest.mark.parametrize("quantizer", ["ttq", "twn(per_filter=True)", "sq", "tga", "bc(clip=True)"])
    def test_gradients_are_those_of_the_quantised_layer(self, quantizer):
        old = quantized(annotated(layers.Dense(3, use_bias=False), quantizer, quantize_activation=False), shape=(16,))
        x = np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32)
        old(x, training=True)  # before, the range of the input is empty
        new = from_tfmot(old)
        gradients = []
        for model in (old, new):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(model(x) ** 2)
            variables = [v.value if isinstance(v, keras.Variable) else v for v in model.trainable_variables]
            gradients.append([np.asarray(g) for g in tape.gradient(loss, variables, unconnected_gradients="zero")])
        for one, other in zip(*gradients, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)

    def test_the_default_scheme_and_layers_that_stay_float(self):
        model = quantized(
            layers.Conv2D(2, 3, name="float"),
            layers.Flatten(),
            annotated(layers.Dense(10, activation="softmax", name="head")),
            shape=(8, 8, 1),
        )
        assert type(from_tfmot(model).get_layer("float")) is keras.layers.Conv2D
        assert type(from_tfmot(model).get_layer("head")) is QUANTIZED_CLASSES[keras.layers.Dense]

    @pytest.mark.parametrize("name", ["model.h5", "saved_model"])
    def test_save_and_load(self, trained, digits, tmp_path, name):
        trained.save(tmp_path / name)
        with tfmot.quantize_scope():
            loaded = tf_keras.models.load_model(tmp_path / name)
        x, y = digits
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), trained.predict(x, verbose=0))
        loaded.fit(x[:128], y[:128], verbose=0)  # the optimizer's state fits as well
        assert loaded.evaluate(x, y, verbose=0)[0] < trained.loss_before


class TestExport:
    def test_every_channel_of_the_tflite_file_has_three_levels(self, direct, tmp_path):
        graph = Graph.read(direct)
        weighted = [op.inputs[1].index for op in graph.ops if op.name in WEIGHTED]
        assert len(weighted) == len(KERNELS)
        levels = find_levels(graph)
        assert [levels[index].bits for index in weighted] == [2] * len(KERNELS)
        report = export(direct, tmp_path)
        forms = [layer.weights for layer in report.layers if layer.weights]
        assert len(forms) == len(KERNELS)
        assert set(forms) - {"int8"}, "some are packed; a small one may be smaller or faster as it is"

    def test_the_keras_3_model_exports_to_the_same_weights_and_ranges(self, trained, direct, digits, tmp_path):
        report = export(finalize(from_tfmot(trained)), tmp_path, calibration=digits[0][:100], targets="int8")
        graphs = [Graph.read(tflite) for tflite in (direct, report.tflite_path.read_bytes())]
        assert [op.name for op in graphs[0].ops] == [op.name for op in graphs[1].ops]
        for ops in zip(*(graph.ops for graph in graphs), strict=True):
            one, other = (op.outputs[0] for op in ops)
            assert one.zero_point == other.zero_point
            assert one.scale == pytest.approx(other.scale, rel=1e-6)
            if ops[0].name in WEIGHTED:
                np.testing.assert_array_equal(*(op.inputs[1].data for op in ops))


class TestFromTFMOT:
    def test_outputs(self, trained, digits):
        model = from_tfmot(trained)
        assert isinstance(model, keras.Sequential)
        old, new = (m.predict(digits[0], verbose=0) for m in (trained, model))
        difference = np.abs(old - new).max(axis=1)
        assert (difference < 1e-5).mean() > 0.99  # elsewhere a tie was rounded to the other side
        assert (old.argmax(axis=1) == new.argmax(axis=1)).mean() > 0.99

    def test_training_goes_on_and_ends_in_stock_layers(self, trained, digits, tmp_path):
        model = from_tfmot(trained)
        model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", jit_compile=False)
        before = model.evaluate(*digits, verbose=0)
        keras.utils.set_random_seed(0)
        model.fit(*digits, batch_size=64, epochs=4, verbose=0)
        assert model.evaluate(*digits, verbose=0) < 0.9 * before
        model.save(tmp_path / "model.keras")
        plain = finalize(keras.models.load_model(tmp_path / "model.keras"))
        for name in KERNELS:
            layer = plain.get_layer(name)
            assert type(layer) in QUANTIZED_CLASSES
            kernel = layer.kernel.numpy().reshape(-1, layer.kernel.shape[2 if name == "depthwise" else -1])
            assert max(len(np.unique(channel)) for channel in kernel.T) <= 3

    def test_ranges(self, trained):
        wrapper = trained.get_layer("quant_relu")
        low, high = (float(weight) for weight in wrapper.non_trainable_weights[-2:])
        assert from_tfmot(trained).get_layer("relu_range").fixed_range() == pytest.approx((low, high))

    @pytest.mark.parametrize(
        ("layer", "shape"),
        [
            (layers.Conv1D(3, 3, strides=2, name="layer"), (9, 2)),
            (layers.Conv2D(4, 3, groups=2, dilation_rate=2, name="layer"), (7, 7, 2)),
            (layers.Conv2DTranspose(3, 3, strides=2, padding="same", name="layer"), (4, 4, 2)),
            (layers.Conv3D(2, 2, activation="tanh", name="layer"), (3, 3, 3, 2)),
            (layers.DepthwiseConv1D(3, depth_multiplier=2, name="layer"), (9, 2)),
            (layers.DepthwiseConv2D(3, depth_multiplier=2, name="layer"), (5, 5, 2)),
            (layers.Dense(3, activation="gelu", name="layer"), (4,)),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_every_kind_of_layer(self, layer, shape):
        old = quantized(annotated(layer, "twn(per_filter=True)"), shape=shape)
        x = np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32)
        old(x, training=True)  # the ranges
        new = from_tfmot(old)
        assert new.get_layer("layer").kernel_quantizer is not None
        difference = np.abs(new.predict(x, verbose=0) - old.predict(x, verbose=0))
        assert np.median(difference) < 1e-5
        assert difference.max() < 2 * 12 / 255  # two steps of the initial range, where ties were rounded otherwise

    def test_functional_model(self):
        inputs = tf_keras.Input((6, 6, 2), name="image")
        x = annotated(layers.Conv2D(4, 3, padding="same", name="stem"))(inputs)
        y = annotated(layers.Conv2D(4, 3, padding="same", use_bias=False, name="branch"), "ttq")(x)
        y = tfmot.quantize_annotate_layer(layers.BatchNormalization(name="norm"))(y)
        x = tfmot.quantize_annotate_layer(layers.Add(name="add"))([x, y])
        x = tfmot.quantize_annotate_layer(layers.ReLU(name="relu"))(x)
        pooled = layers.GlobalAveragePooling2D(name="pool")(x)
        shared = layers.Dense(3, name="shared")
        outputs = [shared(pooled), shared(layers.Dropout(0.5, name="drop")(pooled))]
        old = tfmot.quantize_apply(tf_keras.Model(inputs, outputs, name="residual"), TernaryQuantizeScheme())
        x = np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype(np.float32)
        old(x, training=True)
        new = from_tfmot(old)
        assert new.name == "residual"
        assert sum(isinstance(layer, ActivationQuantizer) for layer in new.layers) == 4
        for one, other in zip(old.predict(x, verbose=0), new.predict(x, verbose=0), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-3)

    def test_layers_that_tf_keras_describes_differently(self):
        old = tf_keras.Sequential(
            [
                tf_keras.Input((8, 8, 2)),
                layers.SpatialDropout2D(0.1),
                layers.SeparableConv2D(3, 3),
                layers.LayerNormalization(),
                layers.LeakyReLU(0.1),
                layers.Reshape((36, 3)),
                layers.GRU(4),
                layers.BatchNormalization(),
            ]
        )
        x = np.random.default_rng(0).normal(size=(4, 8, 8, 2)).astype(np.float32)
        np.testing.assert_allclose(from_tfmot(old).predict(x, verbose=0), old.predict(x, verbose=0), atol=1e-5)

    def test_fixed_and_removed_ranges(self):
        model = quantized(annotated(layers.Dense(3)), shape=(4,))
        with tfmot.quantize_scope():
            fixed = tfmot.fix_input_output_range(model, input_min=-1.0, output_max=2.0)
            removed = tfmot.remove_input_range(model)
        first, _, last = from_tfmot(fixed).layers
        assert (first.fixed_range(), last.fixed_range()) == ((-1.0, 1.0), (0.0, 2.0))
        assert type(from_tfmot(removed).layers[0]) is keras.layers.Identity


class TestErrors:
    def test_no_quantizer(self):
        with pytest.raises(TypeError, match="needs a quantizer, such as 'twn' or 'ttq'"):
            TernaryQuantizeConfig(None)

    @pytest.mark.parametrize(
        ("quantizer", "what"),
        [("bc", "constraint of BinaryConnect"), (SQ(AdaptiveRegularizer(1, 1)), "regularizer of SQ")],
    )
    def test_what_only_our_layers_apply(self, quantizer, what):
        with pytest.raises(ValueError, match=f"cannot apply the {what}"):
            TernaryQuantizeConfig(quantizer)

    @pytest.mark.parametrize("scheme", [{}, {"scheme": TernaryQuantizeScheme()}])
    def test_layer_without_a_ternary_kernel(self, scheme):
        layer = annotated(layers.SeparableConv2D(3, 3, name="both"))
        model = tf_keras.Sequential([tf_keras.Input((8, 8, 2)), layer])
        with pytest.raises(TypeError, match=r"does not fit layer 'both' \(SeparableConv2D\)"):
            tfmot.quantize_apply(model, **scheme)

    def test_layers_without_a_counterpart(self):
        inputs = tf_keras.Input((4,))
        with pytest.raises(TypeError, match=r"no counterpart for layer '.*' \(TFOpLambda\)"):
            from_tfmot(tf_keras.Model(inputs, inputs + 1))
        block = tf_keras.Sequential([tf_keras.Input((4,)), layers.Dense(4)], name="block")
        with pytest.raises(TypeError, match="no counterpart for layer 'block'"):
            from_tfmot(tf_keras.Sequential([tf_keras.Input((4,)), block]))

    def test_other_models(self):
        with pytest.raises(TypeError, match=r"Functional tf_keras model, received keras\.[\w.]*\.Sequential\."):
            from_tfmot(keras.Sequential([keras.Input((4,))]))
        with pytest.raises(TypeError, match=r"Functional tf_keras model, received tf_keras\.[\w.]*\.Dense\."):
            from_tfmot(layers.Dense(3))
        with pytest.raises(ValueError, match="needs a built model"):
            from_tfmot(tf_keras.Sequential([layers.Dense(3)]))
