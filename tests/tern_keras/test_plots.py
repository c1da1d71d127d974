import math
import re
import sys

import keras
import numpy as np
import pytest
from matplotlib.text import Text

from tern_keras import plots, profile
from tern_keras.callbacks import LatentHistory, latent_history
from tern_keras.layers import QuantConv2D, QuantConv2DTranspose, QuantDense, QuantLSTM
from tern_keras.plots.montage import tiles


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


def test_threshold_lines_are_the_outermost_zeros() -> None:
    """Also where they do not lie evenly around zero: those of tga are mean ± Δ."""
    model = _model("tga", "twn")
    model.layers[0].kernel.assign(model.layers[0].kernel + 0.5)
    kernel = keras.ops.convert_to_numpy(model.layers[0].kernel)
    zeros = kernel[model.layers[0].quantized_kernel().codes == 0]
    lines = [line.get_xdata()[0] for line in plots.latent_histograms({"a": model}).axes[0].lines]
    np.testing.assert_allclose(lines, [zeros.min(), zeros.max()])
    assert lines[0] > 0


def test_histogram_of_equal_weights() -> None:
    model = _model("twn", None)
    model.layers[0].kernel.assign(np.zeros((3, 3, 2, 3)))
    (axis,) = plots.latent_histograms({"a": model}).axes
    assert sum(bar.get_height() for bar in axis.patches) == 54


def test_montage_shows_every_code() -> None:
    model = _model("twn", "twn")
    axes = plots.kernel_montage({"a": model}).axes
    image = np.asarray(axes[0].images[0].get_array())
    assert image.shape == (2 * 4 - 1, 3 * 4 - 1, 3)
    codes = model.layers[0].quantized_kernel().codes
    for code, colour in {1: (0.78, 0.33, 0.24), 0: (0.85, 0.85, 0.85), -1: (0.23, 0.44, 0.71)}.items():
        assert np.all(np.isclose(image, colour), axis=-1).sum() == np.sum(codes == code)
    assert np.asarray(axes[1].images[0].get_array()).shape == (48, 4, 3)


def test_montage_of_a_transposed_convolution() -> None:
    """Its kernel is (height, width, outputs, inputs); a column is an output channel all the same."""
    model = keras.Sequential([keras.Input((4, 4, 2)), QuantConv2DTranspose(3, 3, kernel_quantizer="twn")])
    model.layers[0].kernel.assign(np.eye(3, dtype=np.float32)[0].reshape(1, 1, 3, 1) * np.ones((3, 3, 1, 2)))
    image = np.asarray(plots.kernel_montage({"a": model}).axes[0].images[0].get_array())
    assert image.shape == (2 * 4 - 1, 3 * 4 - 1, 3)
    red = np.isclose(image, (0.78, 0.33, 0.24)).all(axis=-1)
    assert red[:, :3].sum() == red.sum() == 3 * 3 * 2  # the first output channel alone


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
    image = tiles(codes)
    expected = (3, 2) if not spatial else (3 * (height + 1) - 1, 2 * (width + 1) - 1)
    assert image.shape == (*expected, 3)
    assert np.isclose(image, (0.78, 0.33, 0.24)).all(-1).sum() == np.sum(codes == 1)


@pytest.mark.parametrize("draw", [plots.latent_histograms, plots.kernel_montage])
def test_model_without_quantised_layers(draw) -> None:
    with pytest.raises(ValueError, match="'a' has no quantised layer"):
        draw({"a": _model(None, None)})
    with pytest.raises(ValueError, match=r"'a' has no quantised layer to draw\. Build it"):
        draw({"a": keras.Sequential([QuantDense(3, kernel_quantizer="twn")])})


@pytest.mark.parametrize("draw", [plots.latent_histograms, plots.kernel_montage, plots.density_per_layer])
class TestModels:
    def test_a_single_one_goes_by_its_name(self, draw) -> None:
        model = keras.Sequential([keras.Input((2,)), QuantDense(3, kernel_quantizer="twn")], name="only")
        texts = [text.get_text() for text in draw(model).findobj(Text)]
        assert any(re.match(r"only(:|$)", text) for text in texts)

    def test_none(self, draw) -> None:
        with pytest.raises(ValueError, match="no model to draw"):
            draw({})

    def test_a_list(self, draw) -> None:
        with pytest.raises(TypeError, match=r"by their title.* received <class 'list'>"):
            draw([_model("twn", None)])


class TestRidges:
    @staticmethod
    def _history(rows, bins=4):
        """A history as a callback leaves it, of a kernel that grows wider."""
        history = LatentHistory(bins=bins)
        spread = np.linspace(1, 2, rows)[:, None]
        history.records["conv"] = latent_history.LatentRecord(
            epochs=np.arange(rows),
            counts=np.tile(np.array([[2, 0, 0, 0], [0, 4, 3, 0], [0, 0, 1, 2]]), (rows, 1, 1)),
            edges=spread * np.linspace(-1, 1, bins + 1),
            thresholds=0.5 * spread * [[-1, 1]],
        )
        return history

    def test_a_ridge_an_epoch(self) -> None:
        (axis,) = plots.latent_ridges(self._history(3)).axes
        assert axis.get_title() == "conv"
        assert [label.get_text() for label in axis.get_yticklabels()] == ["0", "1", "2"]
        filled = [patch for patch in axis.patches if patch.get_fill()]
        assert len(filled) == 3 * 3
        # the stack of the last epoch: its foot at -2, its fullest bin of 4 weights at the height of all ridges
        last = [patch.get_data() for patch in filled[-3:]]
        heights = np.array([2, 4, 4, 2]) * 1.6 / 4
        np.testing.assert_allclose(last[-1].values, -2 + heights)
        np.testing.assert_allclose(last[0].baseline, -2)
        np.testing.assert_allclose(last[-1].edges, np.linspace(-2, 2, 5))
        thresholds = [line[0, 0] for line in axis.collections[-1].get_segments()]
        np.testing.assert_allclose(thresholds, [-1, 1])

    def test_twelve_of_a_long_training(self) -> None:
        (axis,) = plots.latent_ridges(self._history(101)).axes
        labels = [label.get_text() for label in axis.get_yticklabels()]
        assert (len(labels), labels[0], labels[-1]) == (12, "0", "100")

    def test_of_a_file(self, tmp_path) -> None:
        path = tmp_path / "latent.npz"
        latent_history.save(path, self._history(3).records)
        for file in (path, str(path)):
            (axis,) = plots.latent_ridges(file).axes
            assert [label.get_text() for label in axis.get_yticklabels()] == ["0", "1", "2"]

    def test_of_what_fit_returns(self) -> None:
        with pytest.raises(TypeError, match=r"takes a tern_keras.callbacks.LatentHistory.* received .*\.History"):
            plots.latent_ridges(keras.callbacks.History())

    def test_nothing_recorded(self) -> None:
        with pytest.raises(ValueError, match="recorded nothing"):
            plots.latent_ridges(LatentHistory())

    def test_unused_panels_are_blank(self) -> None:
        history = self._history(2)
        for name in ("b", "c"):
            history.records[name] = history.records["conv"]
        assert [axis.axison for axis in plots.latent_ridges(history).axes] == [True, True, True, False]

    def test_binary_kernels_have_no_thresholds(self, tmp_path) -> None:
        model = _model("bwn", None)
        history = LatentHistory()
        history.set_model(model)
        history.on_epoch_begin(0)
        plots.latent_ridges(history).savefig(tmp_path / "ridges.png")
        assert np.isnan(history.records[model.layers[0].name].thresholds).all()


def _curves(axis):
    return {line.get_label(): (line.get_xdata(), line.get_ydata()) for line in axis.lines}


class TestPenalties:
    def test_wells_and_heights(self) -> None:
        fixed, adaptive = map(_curves, plots.regularizer_curves(mu=0.4, betas=(math.pi / 4, 1.2)).axes)
        multiples, r1 = fixed["R1"]
        at = {m: int(np.argmin(np.abs(multiples - m))) for m in (-1, 0, 0.5, 1, 2)}
        np.testing.assert_allclose(r1[list(at.values())], [0, 0.4, 0.2, 0, 0.4], atol=1e-6)
        np.testing.assert_allclose(fixed["R2"][1][list(at.values())], [0, 0, 0.2, 0, 0.4], atol=1e-6)
        # at π/4 the adaptive penalty is R2; the oracle of the paper's equation 8 at β = 1.2
        np.testing.assert_allclose(adaptive["β = 0.7854"][1], fixed["R2"][1], atol=1e-6)
        weights = 0.4 * multiples
        expected = np.minimum(np.abs(np.abs(weights) - 0.4), math.tan(1.2) * np.abs(weights))
        np.testing.assert_allclose(adaptive["β = 1.2"][1], expected, rtol=1e-4, atol=1e-6)

    def test_bad_arguments(self) -> None:
        with pytest.raises(ValueError, match="beta must be in"):
            plots.regularizer_curves(betas=[1.6])
        with pytest.raises(ValueError, match="mu must be"):
            plots.regularizer_curves(mu=0)


def _bars(axis):
    return [(round(bar.get_width(), 6), bar.get_facecolor()[:3]) for bar in axis.patches if bar.get_width() > 0]


class TestDensity:
    def test_bars_are_the_profile(self) -> None:
        model, other = _model("twn", "ttq"), _model("twn", None)
        for a, b in zip(model.layers, other.layers, strict=True):
            b.name = a.name
        (axis,) = plots.density_per_layer({"a": model, "b": other}).axes
        rows = [row for m in (model, other) for row in profile(m).layers]
        assert [width for width, _ in _bars(axis)] == pytest.approx([row.density for row in rows], abs=1e-6)
        colours = [colour for _, colour in _bars(axis)]
        assert colours[0] == colours[1] != colours[2]
        assert colours[3] == (1, 1, 1)  # not quantised: outlined
        assert [label.get_text() for label in axis.get_yticklabels()] == [row.name for row in rows[:2]]
        assert [text.get_text() for text in axis.figure.legends[0].get_texts()] == ["a", "b"]

    def test_no_kernel(self) -> None:
        with pytest.raises(ValueError, match=r"No layer with a kernel in \['a'\]"):
            plots.density_per_layer({"a": keras.Sequential([keras.Input((2,)), keras.layers.ReLU()])})


class TestSparsity:
    def test_lines(self) -> None:
        (axis,) = plots.accuracy_against_sparsity(
            {"TTQ": [(0.5, 0.8), (0.3, 0.9)], "TWN": [(0.4, 0.7)]}, baseline=0.95
        ).axes
        curves = _curves(axis)
        assert list(curves) == ["TTQ", "TWN", "float"]
        assert (list(curves["TTQ"][0]), list(curves["TTQ"][1])) == ([0.3, 0.5], [0.9, 0.8])  # in order of sparsity
        assert set(curves["float"][1]) == {0.95}
        colours = [line.get_color() for line in axis.lines[:2]]
        assert colours == [(0.23, 0.44, 0.71), (0.78, 0.33, 0.24)]

    def test_without_a_baseline(self) -> None:
        assert len(plots.accuracy_against_sparsity({"TTQ": [(0.5, 0.8)]}).axes[0].lines) == 1

    @pytest.mark.parametrize(
        ("series", "baseline", "message"),
        [
            ({}, None, "at least one point"),
            ({"TTQ": []}, None, r"at least one point .* \['TTQ'\]"),
            ({"TTQ": [(50, 0.9)]}, None, "from 0 to 1, received 50"),
            ({"TTQ": [(0.5, 0.9)]}, 91.5, "received 91.5"),
        ],
    )
    def test_bad_points(self, series, baseline, message) -> None:
        with pytest.raises(ValueError, match=message):
            plots.accuracy_against_sparsity(series, baseline)


def test_figures_can_be_saved(tmp_path) -> None:
    path = tmp_path / "kernels.png"
    plots.kernel_montage({"a": _model("twn", "twn")}).savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_every_figure_can_be_drawn(tmp_path) -> None:
    model = _model("twn", "ttq")
    figures = [
        plots.latent_histograms({"a": model}),
        plots.density_per_layer({"a": model}),
        plots.regularizer_curves(),
        plots.accuracy_against_sparsity({"TTQ": [(0.5, 0.8)]}, baseline=0.9),
    ]
    for number, figure in enumerate(figures):
        path = tmp_path / f"{number}.png"
        figure.savefig(path)
        assert path.read_bytes().startswith(b"\x89PNG")


def test_missing_matplotlib(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"tern-keras\[plots\]"):
        plots.regularizer_curves()
