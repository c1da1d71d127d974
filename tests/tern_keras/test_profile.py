import keras
import numpy as np
import pytest
from sample_models import cnn, lenet5, nested, train

from tern_keras import finalize, profile, ternarize
from tern_keras.layers import QuantDense, QuantLSTM
from tern_keras.profile import LayerProfile, ModelProfile


def rows(model):
    return {row.name: row for row in profile(model).layers}


def test_float_model():
    result = profile(cnn())
    assert isinstance(result, ModelProfile)
    assert [row.name for row in result.layers] == ["stem", "norm", "depthwise", "conv", "hidden", "head"]
    assert result.compression == result.weights_compression == 1
    assert result.bytes == result.float_bytes == 4 * cnn().count_params()
    assert rows(cnn())["conv"].method == "float32"


def test_multiply_accumulates():
    macs = {name: row.macs for name, row in rows(cnn()).items()}
    assert macs == {
        "stem": 6 * 6 * 9 * 2 * 4,
        "norm": None,
        "depthwise": 4 * 4 * 9 * 4,
        "conv": 2 * 2 * 9 * 4 * 6,
        "hidden": 24 * 8,
        "head": 24,
    }
    assert profile(cnn()).macs == sum(count or 0 for count in macs.values())
    assert profile(lenet5()).macs == 28 * 28 * 150 + 100 * 2400 + 48000 + 10080 + 840


def test_grouped_dense_and_open_shapes():
    model = keras.Sequential([keras.Input((None, 8)), keras.layers.Dense(4)])
    assert profile(model).layers[0].macs is None
    assert profile(model).macs is None
    model = keras.Sequential([keras.Input((5, 8)), keras.layers.Dense(4)])
    assert profile(model).macs == 5 * 8 * 4
    model = keras.Sequential([keras.Input((6, 6, 8)), keras.layers.Conv2D(4, 3, strides=2, groups=2)])
    assert profile(model).macs == 2 * 2 * 9 * 4 * 4


def test_multiply_accumulates_of_the_other_layers():
    def macs(layer, shape, **kwargs):
        return [row.macs for row in profile(keras.Sequential([keras.Input(shape, **kwargs), layer])).layers]

    layers = keras.layers
    assert macs(layers.Conv1D(4, 3, strides=2), (9, 2)) == [4 * 3 * 2 * 4]
    assert macs(layers.Conv3D(4, 2), (3, 3, 3, 2)) == [8 * 8 * 2 * 4]
    assert macs(layers.DepthwiseConv1D(3, depth_multiplier=2), (6, 2)) == [4 * 3 * 4]
    # each pixel of the input is spread over the whole kernel
    assert macs(layers.Conv2DTranspose(4, 3, strides=2), (5, 5, 2)) == [25 * 9 * 2 * 4]
    assert macs(layers.SeparableConv2D(4, 3, strides=2), (7, 7, 2)) == [9 * 9 * 2, 9 * 2 * 4]
    assert macs(layers.LSTM(4), (5, 3)) == [5 * 3 * 16, 5 * 4 * 16]
    assert macs(layers.GRU(4, return_sequences=True), (None, 3)) == [None, None]
    assert macs(layers.Embedding(10, 4), (5,), dtype="int32") == [0]


def test_rows_of_a_layer_with_two_kernels():
    layer = QuantLSTM(4, kernel_quantizer="twn", name="lstm")
    model = keras.Sequential([keras.Input((5, 3)), layer])
    layer.cell.kernel.assign(np.resize([1, -1, 0, 0], (3, 16)))
    kernel, recurrent = profile(model).layers
    assert kernel == LayerProfile(
        name="lstm/kernel",
        type="QuantLSTM",
        kernel_shape=(3, 16),
        method="twn",
        bits=2,
        density=0.5,
        scales=(1.0,),
        macs=5 * 48,
        weights=48,
        parameters=48 + 16,
        bytes=12 + 4 + 16 * 4,
    )
    assert (recurrent.name, recurrent.method) == ("lstm/recurrent_kernel", "float32")
    assert (recurrent.parameters, recurrent.bytes) == (64, 256)
    assert profile(model).float_bytes == 4 * layer.count_params()


def test_row_of_a_quantised_layer():
    layer = QuantDense(10, kernel_quantizer="ttq", name="q")
    model = keras.Sequential([keras.Input((5,)), layer])
    layer.kernel.assign(np.resize([1, -1, 0, 1, 0], (5, 10)))
    layer.kernel_quantizer.wp.assign(0.5)
    assert profile(model).layers == (
        LayerProfile(
            name="q",
            type="QuantDense",
            kernel_shape=(5, 10),
            method="ttq",
            bits=2,
            density=0.6,
            scales=(0.5, 1.0),
            macs=50,
            weights=50,
            parameters=60,
            bytes=13 + 2 * 4 + 10 * 4,
        ),
    )


@pytest.mark.parametrize("quantizer", ["twn(per_filter=True)", "ttq", "sq"])
def test_finalised_model_weighs_the_same(quantizer):
    ternary = train(ternarize(lenet5(), quantizer))
    trained, plain = profile(ternary), profile(finalize(ternary))
    assert plain.bytes == trained.bytes
    assert plain.weights_compression == trained.weights_compression
    assert [row.method for row in plain.layers] == ["float32", "ternary", "ternary", "ternary", "float32"]
    assert [row.density for row in plain.layers] == [row.density for row in trained.layers]


def test_compression_of_the_sq_paper():
    # LeNet-5 with 1-1-2-2-2 bits; the paper prints 16.3
    model = ternarize(lenet5(), "sq", skip=())
    for name in ("c1", "c2"):
        model.get_layer(name).kernel_quantizer.beta.assign(1.57)
    result = profile(model)
    assert [row.bits for row in result.layers] == [1, 1, 2, 2, 2]
    assert result.weights_compression == pytest.approx(16.339, abs=5e-4)
    scales, biases = 6 + 16 + 120 + 84 + 10, 6 + 16 + 120 + 84 + 10
    assert result.bytes == 19 + 300 + 12000 + 2520 + 210 + 4 * (scales + biases)
    assert result.compression < result.weights_compression


def test_nested_model_is_opened():
    assert set(rows(nested())) == {"stem", "inner", "head"}
    assert rows(ternarize(nested(), "twn"))["inner"].bits == 2


def test_subclassed_and_wrapped_layers_are_found():
    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.layers.TimeDistributed(QuantDense(4, kernel_quantizer="twn", name="deep"))

        def call(self, inputs):
            return self.inner(inputs)

    model = Mine()
    model(np.ones((1, 2, 8), np.float32))
    (row,) = profile(model).layers
    assert (row.name, row.bits) == ("deep", 2)


def test_matrices_of_other_layers_count_as_float_weights():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Embedding(10, 4), keras.layers.Flatten()])
    model.add(QuantDense(4, kernel_quantizer="twn"))
    result = profile(model)
    assert result.weights_compression == pytest.approx(32 * (40 + 48) / (32 * 40 + 2 * 48))


class TestErrors:
    def test_unbuilt(self):
        with pytest.raises(ValueError, match=r"profile\(\) needs a built model"):
            profile(keras.Sequential([keras.layers.Dense(3)]))

    def test_nan_weights(self):
        model = cnn()
        model.get_layer("norm").gamma.assign([1, np.nan, 1, 1])
        with pytest.raises(ValueError, match="Layer 'norm': 1 of 4 values of its weight 'gamma' are NaN"):
            profile(model)


@pytest.mark.parametrize("name", ["twn", "sws", "rel", "tga", "bc", "bwn"])
def test_methods_go_by_the_names_that_get_takes(name):
    model = keras.Sequential([keras.Input((8,)), QuantDense(4, kernel_quantizer=name)])
    assert profile(model).layers[0].method == name


def test_macs_of_a_model_are_unknown_where_a_layers_are():
    attention = keras.layers.MultiHeadAttention(num_heads=1, key_dim=2)
    x = keras.Input((3, 4))
    result = profile(keras.Model(x, keras.layers.Dense(2)(attention(x, x))))
    assert sum(layer.weights for layer in result.layers if layer.macs is None) > 0
    assert result.macs is None


def test_rows_are_in_the_order_of_the_layers():
    block = keras.Sequential(
        [keras.Input((4,)), *(keras.layers.Dense(4, name=f"in{i}") for i in range(3))], name="block"
    )
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(2, name="last")(block(keras.layers.Dense(4, name="first")(inputs)))
    rows = profile(keras.Model(inputs, outputs)).layers
    assert [row.name for row in rows] == ["first", "in0", "in1", "in2", "last"]
