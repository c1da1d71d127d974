import keras
import numpy as np
import pytest

from tern_keras import plots
from tern_keras.layers import QuantConv2D, QuantDense, QuantLSTM


def _model(*quantizers: str | None) -> keras.Model:
    first, second = quantizers
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            QuantConv2D(3, 3, kernel_quantizer=first),
            keras.layers.Flatten(),
            QuantDense(4, kernel_quantizer=second),
        ]
    )


def test_histograms_count_every_weight_once() -> None:
    model, other = _model("twn", "ttq"), _model("sq", None)
    figure = plots.latent_histograms({"a": model, "b": other})
    titles = [axis.get_title() for axis in figure.axes[:3]]
    assert titles == [f"a: {model.layers[0].name}", f"b: {other.layers[0].name}", f"a: {model.layers[2].name}"]
    for axis, weights in zip(figure.axes, (3 * 3 * 2 * 3, 3 * 3 * 2 * 3, 48 * 4), strict=False):
        assert sum(bar.get_height() for bar in axis.patches) == weights
    assert not figure.axes[3].axison  # the second model has one quantised layer


def test_threshold_line_is_the_largest_zero() -> None:
    model = _model("twn", "twn")
    kernel = keras.ops.convert_to_numpy(model.layers[0].kernel)
    zeros = np.abs(kernel[model.layers[0].quantized_kernel().codes == 0])
    lines = [line.get_xdata()[0] for line in plots.latent_histograms({"a": model}).axes[0].lines]
    np.testing.assert_allclose(lines, [-zeros.max(), zeros.max()])


def test_montage_shows_every_code() -> None:
    model = _model("twn", "twn")
    axes = plots.kernel_montage({"a": model}).axes
    image = np.asarray(axes[0].images[0].get_array())
    assert image.shape == (2 * 4 - 1, 3 * 4 - 1, 3)
    codes = model.layers[0].quantized_kernel().codes
    for code, colour in {1: (0.78, 0.33, 0.24), 0: (0.85, 0.85, 0.85), -1: (0.23, 0.44, 0.71)}.items():
        assert np.all(np.isclose(image, colour), axis=-1).sum() == np.sum(codes == code)
    assert np.asarray(axes[1].images[0].get_array()).shape == (48, 4, 3)


def test_layers_with_two_kernels() -> None:
    model = keras.Sequential([keras.Input((5, 3)), QuantLSTM(2, kernel_quantizer="twn", recurrent_quantizer="rel")])
    name = model.layers[0].name
    histograms, montage = plots.latent_histograms({"a": model}), plots.kernel_montage({"a": model})
    for figure in (histograms, montage):
        assert [axis.get_title() for axis in figure.axes] == [f"a: {name}/kernel", f"a: {name}/recurrent"]


@pytest.mark.parametrize(
    ("spatial", "height", "width"), [((), None, None), ((5,), 1, 5), ((2, 3), 2, 3), ((2, 3, 4), 6, 4)]
)
def test_tiles_of_kernels_of_any_rank(spatial, height, width) -> None:
    codes = np.random.default_rng(0).integers(-1, 2, (*spatial, 3, 2)).astype(np.int8)
    image = plots._tiles(codes)
    expected = (3, 2) if not spatial else (3 * (height + 1) - 1, 2 * (width + 1) - 1)
    assert image.shape == (*expected, 3)
    assert np.isclose(image, (0.78, 0.33, 0.24)).all(-1).sum() == np.sum(codes == 1)


@pytest.mark.parametrize("draw", [plots.latent_histograms, plots.kernel_montage])
def test_model_without_quantised_layers(draw) -> None:
    with pytest.raises(ValueError, match="'a' has no quantised layer"):
        draw({"a": _model(None, None)})


def test_figures_can_be_saved(tmp_path) -> None:
    path = tmp_path / "kernels.png"
    plots.kernel_montage({"a": _model("twn", "twn")}).savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")
