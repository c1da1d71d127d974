"""The papers' counts of weights and their compression ratios, and MLPerf Tiny's own trained models."""

import math

import keras
import numpy as np
import pytest

from tern_keras import applications, finalize, load_h5, profile, ternarize

METHOD_OF_BITS = {32: None, 2: "twn", 1: "bwn"}
RESNET_WEIGHTS = {20: 268336, 32: 461872, 44: 655408, 56: 848944}
MLPERF_FILES = {
    "autoencoder": "ad01.h5",
    "ds_cnn": "kws_model_qualcomm_v1.2.h5",
    "mobilenet_v1_025": "vww_96.h5",
    "resnet8": "ic_pretrainedResnet.h5",
}


@pytest.fixture(scope="module", autouse=True)
def _draws_by_numpy():
    """JAX compiles a program for each shape that Keras draws, and the values do not matter here."""
    rng = np.random.default_rng(0)

    def draw(self, shape, dtype=None):
        return keras.ops.convert_to_tensor(rng.random(shape, np.float32) - 0.5, dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.initializers.VarianceScaling, "__call__", draw)
        yield


def weights(model):
    return [math.prod(layer.kernel.shape) for layer in model.layers if hasattr(layer, "kernel")]


def compression(model, bits):
    """Return the compression of `model` with these bits a weight, layer by layer."""
    names = [layer.name for layer in model.layers if hasattr(layer, "kernel")]
    methods = dict(zip(names, (METHOD_OF_BITS[count] for count in bits), strict=True))
    result = profile(ternarize(model, "twn", skip=(), overrides=methods))
    assert [row.bits for row in result.layers if row.kernel_shape] == list(bits)
    return result.weights_compression


def images(model, count=2):
    return np.random.default_rng(1).normal(size=(count, *model.input_shape[1:])).astype(np.float32)


def test_all_functions_are_public():
    assert set(MLPERF_FILES) < set(applications.__all__)
    for name in applications.__all__:
        assert getattr(applications, name).__name__ == name


def test_lenet5():
    model = applications.lenet5()
    assert weights(model) == [150, 2400, 48000, 10080, 840]
    assert model.output_shape == (None, 10)
    assert compression(model, [1, 1, 2, 2, 2]) == pytest.approx(16.339, abs=5e-4)


def test_lenet5_twn():
    model = applications.lenet5_twn()
    assert weights(model) == [800, 51200, 524288, 5120]
    assert model.output_shape == (None, 10)


def test_vgg7():
    model = applications.vgg7()
    assert weights(model) == [3456, 147456, 294912, 589824, 1179648, 2359296, 8388608, 10240]
    assert model.output_shape == (None, 10)
    assert compression(model, [2, 1, 1, 1, 2, 2, 2, 2]) == pytest.approx(16.663, abs=5e-4)


@pytest.fixture(scope="module")
def vgg16():
    return applications.vgg16()


def test_vgg16(vgg16):
    assert len(weights(vgg16)) == 14
    assert sum(weights(vgg16)) == 14715584
    assert vgg16.output_shape == (None, 10)


@pytest.mark.parametrize(
    ("bits", "ratio"),
    [
        ([32, *[2] * 12, 32], 15.889),
        ([32, *[1] * 12, 32], 31.545),
        ([32, 2, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 2, 32], 25.050),
    ],
    ids=["TWN", "BWN", "SQ"],
)
def test_compression_of_vgg16(vgg16, bits, ratio):
    assert compression(vgg16, bits) == pytest.approx(ratio, abs=5e-4)


@pytest.mark.parametrize(("depth", "ratio"), [(20, 15.62), (32, 15.78), (44, 15.84), (56, 15.88)])
def test_resnet_cifar(depth, ratio):
    model = applications.resnet_cifar(depth)
    assert len(weights(model)) == depth
    assert sum(weights(model)) == RESNET_WEIGHTS[depth]
    assert weights(applications.resnet_cifar(depth, "he")) == weights(model)
    assert model.output_shape == (None, 10)
    assert compression(model, [32] + [2] * (depth - 1)) == pytest.approx(ratio, abs=5e-3)


def block_with_wider_output(variant):
    """Return what enters the second stage's first block, its shortcut, and the output of its first convolution."""
    model = applications.resnet_cifar(8, variant, input_shape=(8, 8, 3))
    kernel = model.get_layer("stage2_block1_conv1").kernel
    kernel.assign(np.eye(16, 32) * np.eye(9)[4].reshape(3, 3, 1, 1))
    _, shortcut = model.get_layer("stage2_block1_add").input
    entry = model.get_layer("stage2_block1_shortcut").input
    values = keras.Model(model.input, [entry, shortcut, model.get_layer("stage2_block1_conv1").output])(images(model))
    return [keras.ops.convert_to_numpy(value) for value in values]


def test_shortcut_of_ttq():
    entry, shortcut, _ = block_with_wider_output("ttq")
    means = entry.reshape(2, 4, 2, 4, 2, 16).mean((2, 4))
    np.testing.assert_allclose(shortcut[..., 8:24], means, atol=1e-6)
    assert not shortcut[..., :8].any()
    assert not shortcut[..., 24:].any()


def test_shortcut_and_convolution_of_he_take_the_same_pixels():
    entry, shortcut, convolved = block_with_wider_output("he")
    np.testing.assert_array_equal(shortcut[..., :16], entry[:, ::2, ::2])
    np.testing.assert_allclose(convolved[..., :16], entry[:, ::2, ::2], rtol=1e-6)
    assert not shortcut[..., 16:].any()


@pytest.mark.parametrize("variant", ["ttq", "he"])
def test_resnet_cifar_is_ternarised_finalised_and_saved(variant, tmp_path):
    model = finalize(ternarize(applications.resnet_cifar(8, variant, input_shape=(8, 8, 3)), "twn"))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [row.bits for row in profile(loaded).layers if row.kernel_shape] == [32] + [2] * 6 + [32]
    x = images(model)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(("width", "count"), [(1.0, 11678912), (1.5, 25886496)])
def test_resnet18(width, count):
    model = applications.resnet18(width)
    assert sum(weights(model)) == count
    assert len(weights(model)) == 18 + 3
    assert model.output_shape == (None, 1000)
    assert model.get_layer("stage1_block1_add").output.shape == (None, 56, 56, 64 * width)
    assert model.get_layer("stage4_block2_add").output.shape == (None, 7, 7, 512 * width)


def test_resnet18_has_the_parameters_of_torchvision():
    model = applications.resnet18()
    assert sum(math.prod(variable.shape) for variable in model.trainable_variables) == 11689512


def test_alexnet_bn():
    model = applications.alexnet_bn()
    assert weights(model) == [41472, 307200, 884736, 663552, 442368, 37748736, 16777216, 4096000]
    assert model.output_shape == (None, 1000)
    assert compression(model, [32, *[2] * 6, 32]) == pytest.approx(7.93, abs=5e-3)


@pytest.mark.parametrize(
    ("name", "count", "parameters", "shapes"),
    [
        ("autoencoder", 264192, 269992, ((None, 640), (None, 640))),
        ("ds_cnn", 22016, 24908, ((None, 49, 10, 1), (None, 12))),
        ("mobilenet_v1_025", 208112, 221794, ((None, 96, 96, 3), (None, 2))),
        ("resnet8", 77360, 78666, ((None, 32, 32, 3), (None, 10))),
    ],
)
def test_mlperf_tiny(name, count, parameters, shapes):
    model = getattr(applications, name)()
    assert sum(weights(model)) == count
    assert model.count_params() == parameters
    assert (model.input_shape, model.output_shape) == shapes


@pytest.mark.shared
@pytest.mark.parametrize("name", MLPERF_FILES)
def test_mlperf_tiny_equals_the_trained_reference(name, shared_dir):
    path = shared_dir / "models" / "mlperf_tiny" / MLPERF_FILES[name]
    reference = load_h5(path)
    model = getattr(applications, name)()
    model.load_weights(path)
    x = images(model)
    expected = reference.predict(x, verbose=0)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "smallest"),
        [("lenet5", 12), ("lenet5_twn", 16), ("vgg7", 8), ("vgg16", 32), ("alexnet_bn", 44), ("ds_cnn", 2)],
    )
    def test_images_too_small(self, name, smallest):
        build = getattr(applications, name)
        assert build((smallest, smallest, 1)).built
        with pytest.raises(ValueError, match=rf"{name}\(\): input_shape .* height and width {smallest} or more"):
            build((smallest, smallest - 1, 1))

    @pytest.mark.parametrize("shape", [32, (32, 32), (None, 32, 3), (32, 32, 0), (32.0, 32, 3)])
    def test_no_image(self, shape):
        with pytest.raises(ValueError, match=r"vgg7\(\): input_shape must be \(height, width, channels\)"):
            applications.vgg7(shape)

    def test_channels_first(self):
        keras.config.set_image_data_format("channels_first")
        try:
            with pytest.raises(ValueError, match=r"resnet8\(\) builds channels-last models"):
                applications.resnet8()
        finally:
            keras.config.set_image_data_format("channels_last")

    @pytest.mark.parametrize("depth", [2, 18, 21, -4])
    def test_depth(self, depth):
        with pytest.raises(ValueError, match=f"depth must be 6n \\+ 2, .* received {depth}"):
            applications.resnet_cifar(depth)

    def test_variant(self):
        with pytest.raises(ValueError, match=r"variant must be one of \['he', 'ttq'\]; received 'cifar'"):
            applications.resnet_cifar(20, "cifar")

    def test_width(self):
        with pytest.raises(ValueError, match=r"resnet18\(\): width must be at least 1/64"):
            applications.resnet18(width=0)

    @pytest.mark.parametrize("features", [0, 2.5, (640,)])
    def test_features(self, features):
        with pytest.raises(ValueError, match=r"autoencoder\(\): features must be a positive whole number"):
            applications.autoencoder(features)
