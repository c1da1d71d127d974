"""The papers' experiments, on a few random images: they train, resume, record, and the page says what they recorded."""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import keras
import numpy as np
import pytest

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / "examples" / "reproduce"
CLASSES = 10


@pytest.fixture(autouse=True)
def scripts_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small images: as many as two batches take, and a rest."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, shape in (("mnist", (14, 14)), ("cifar10", (8, 8, 3))):
        arrays = {}
        for part, samples in (("train", 260), ("test", 40)):
            arrays[f"x_{part}"] = rng.integers(0, 256, (samples, *shape), dtype=np.uint8)
            arrays[f"y_{part}"] = rng.integers(0, CLASSES, (samples, 1), dtype=np.uint8)
        np.savez(folder / f"{name}.npz", **arrays)
    return folder


@pytest.fixture
def recipe() -> ModuleType:
    return importlib.import_module("recipe")


@pytest.fixture
def datasets() -> ModuleType:
    return importlib.import_module("datasets")


def _command(script: str, folder: Path, data_dir: Path, *words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(script)
    options = ("--results", folder / "results", "--out", folder / "out", "--data-dir", data_dir, "--epochs", "1")
    monkeypatch.setattr(sys, "argv", [script, *map(str, options), "--only", *words])
    importlib.import_module("command").main(script, module.__doc__, module.RUNS)


@pytest.mark.parametrize(
    ("script", "words", "bits"),
    [
        ("mnist_lenet5", ("lenet5_bn", "pad2", "TGA", "seed1"), {2}),
        ("cifar10_resnet", ("resnet20_he", "SWS"), {2}),
        ("cifar10_vgg7", ("BWN",), {1}),
        ("sq_gamma", ("SQ-1e-05",), {1, 2}),
    ],
)
def test_a_script_records_its_run_once(
    script: str,
    words: tuple[str, ...],
    bits: set[int],
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _command(script, tmp_path, data_dir, *words, monkeypatch=monkeypatch)
    path = tmp_path / "results" / f"{script}.jsonl"
    (row,) = map(json.loads, path.read_text().splitlines())
    assert set(words) <= set(row["name"].split())
    assert row["config"]["epochs"] == 1 < row["config"]["recipe"]["epochs"]
    assert row["backend"] == keras.backend.backend()
    assert len(row["curve"]) == 1
    assert row["curve"][0] == row["best"]
    assert 0 <= row["accuracy"] <= 100
    assert {layer["bits"] for layer in row["layers"]} <= bits
    assert all(0 < layer["density"] <= 1 for layer in row["layers"])
    assert row["compression"] == pytest.approx(
        32
        * sum(layer["weights"] for layer in row["layers"])
        / sum(layer["weights"] * layer["bits"] for layer in row["layers"]),
        abs=1e-3,
    )
    assert "epoch 1 of 1" in capsys.readouterr().out
    _command(script, tmp_path, data_dir, *words, monkeypatch=monkeypatch)
    assert "recorded" in capsys.readouterr().out
    assert len(path.read_text().splitlines()) == 1


def _runs(script: str) -> list[Any]:
    return importlib.import_module(script).RUNS


def test_a_run_starts_from_the_float_weights(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _command("ttq_sparsity", tmp_path, data_dir, "lenet5_bn", "TTQ-tuned-r0.5", monkeypatch=monkeypatch)
    assert "lenet5_bn pad2 FP seed0, which is to be trained first" in capsys.readouterr().err
    for words in (("lenet5_bn", "FP"), ("lenet5_bn", "TTQ-tuned-r0.5")):
        _command("ttq_sparsity", tmp_path, data_dir, *words, monkeypatch=monkeypatch)
    rows = [json.loads(line) for line in (tmp_path / "results" / "ttq_sparsity.jsonl").read_text().splitlines()]
    assert [row["config"]["method"].get("start") for row in rows] == [None, "FP"]
    assert all(layer["density"] == pytest.approx(0.5, abs=0.02) for layer in rows[1]["layers"])


def test_a_resumed_run_equals_an_unbroken_one(
    recipe: ModuleType, datasets: ModuleType, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # TGA has the most state: two optimizers, and thresholds that one of them trains
    (run,) = (run for run in _runs("mnist_lenet5") if run.name == "lenet5_bn pad2 TGA seed0")
    run = replace(run, epochs=2)
    images = datasets.load("mnist", data_dir)
    unbroken = recipe.train(run, images, tmp_path / "unbroken")

    class PulledPlugError(Exception):
        pass

    save = recipe.Checkpoint.save

    def save_and_die(self: Any, model: keras.Model, curve: list[dict[str, Any]]) -> None:
        if len(curve) == 2:
            raise PulledPlugError  # the second epoch is lost
        save(self, model, curve)

    with monkeypatch.context() as patch:
        patch.setattr(recipe.Checkpoint, "save", save_and_die)
        with pytest.raises(PulledPlugError):
            recipe.train(run, images, tmp_path / "broken")
    resumed = recipe.train(run, images, tmp_path / "broken")

    assert len(resumed["curve"]) == 2
    assert {**resumed, "seconds": 0} == {**unbroken, "seconds": 0}
    for one, other in zip(
        *(_arrays(tmp_path / name / "final.weights.h5") for name in ("unbroken", "broken")), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def _arrays(path: Path) -> list[np.ndarray]:
    """Weights, statistics and optimizers."""
    arrays: list[np.ndarray] = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: arrays.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    return arrays


def test_a_state_of_another_recipe_is_refused(recipe: ModuleType, tmp_path: Path) -> None:
    run, *_ = _runs("mnist_lenet5")
    model = recipe.build(run, (14, 14, 1), 1)
    recipe.Checkpoint(tmp_path, run.config()).save(model, [{"test": 1.0}])
    other = replace(run, recipe=replace(run.recipe, batch=32))
    with pytest.raises(ValueError, match="another recipe"):
        recipe.Checkpoint(tmp_path, other.config()).restore(model)


def test_the_schedule_of_a_short_run_is_shortened(recipe: ModuleType) -> None:
    run, *_ = _runs("mnist_lenet5")
    steps = 10
    for epochs, drops in ((60, (15, 30)), (12, (3, 6))):
        model = recipe.build(replace(run, epochs=epochs), (14, 14, 1), steps)
        rates = []
        for epoch in range(epochs):
            for step in (0, steps - 1):
                model.optimizer.iterations.assign(epoch * steps + step)
                rates.append(round(float(model.optimizer.learning_rate), 6))
        expected = [1e-2 if epoch < drops[0] else 1e-3 if epoch < drops[1] else 1e-4 for epoch in range(epochs)]
        assert rates == [rate for rate in expected for _ in range(2)]


def test_weight_decay_adds_to_the_penalty_of_sq(recipe: ModuleType) -> None:
    run = next(run for run in _runs("mnist_lenet5") if run.method.name == "SQ")
    losses = []
    for decay in (0.0, 0.5):
        model = recipe.build(replace(run, method=replace(run.method, weight_decay=decay)), (14, 14, 1), 1)
        losses.append(float(sum(model.losses)))
    squares = sum(float(np.square(v.numpy()).sum()) for v in model.trainable_variables if v.name == "kernel")
    assert losses[0] > 0
    assert losses[1] - losses[0] == pytest.approx(0.25 * squares, rel=1e-5)


def test_batches_follow_from_seed_and_epoch(datasets: ModuleType, data_dir: Path) -> None:
    images = datasets.load("cifar10", data_dir)

    def batches(seed: int, epoch: int, pad: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
        epoch_batches = datasets.Batches(images, 64, pad, True, seed, epoch)
        return [epoch_batches[number] for number in range(len(epoch_batches))]

    first = batches(0, 0)
    assert [x.shape for x, _ in first] == [(64, 8, 8, 3)] * 4
    for (x, y), (again, labels) in zip(first, batches(0, 0), strict=True):
        np.testing.assert_array_equal(x, again)
        np.testing.assert_array_equal(y, labels)
    for seed, epoch in ((0, 1), (1, 0)):
        assert not np.array_equal(first[0][0], batches(seed, epoch)[0][0])
    # every image at most once, with its own label
    whole = [tuple(image.ravel()) for image in images.normalised(images.x_train)]
    labels = dict(zip(whole, images.y_train, strict=True))
    order = datasets.Batches(images, 64, 0, False, 0, 0)
    seen = [(tuple(image.ravel()), label) for number in range(4) for image, label in zip(*order[number], strict=True)]
    assert len({image for image, _ in seen}) == 256
    assert all(labels[image] == label for image, label in seen)


@pytest.mark.parametrize("border", ["constant", "edge"])
def test_shifted_images_are_pieces_of_the_padded_ones(border: str, datasets: ModuleType) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(1, 256, (200, 5, 4, 2), dtype=np.uint8)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=border)
    places = set()
    for image, whole in zip(datasets.shifted(x, 1, rng, border), padded, strict=True):
        (place,) = (
            (top, left)
            for top in range(3)
            for left in range(3)
            if np.array_equal(image, whole[top : top + 5, left : left + 4])
        )
        places.add(place)
    assert len(places) == 9


def test_cifar10_from_differences(datasets: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
    red, green, blue = np.moveaxis(x, -1, 0)
    planes = np.stack([green, red - green, blue - green])
    differences = np.diff(np.diff(planes, axis=3, prepend=np.uint8(0)), axis=2, prepend=np.uint8(0))
    y = np.arange(6, dtype=np.uint8)
    np.savez(tmp_path / "cifar10.npz", d_train=differences, y_train=y, d_test=differences[:, :2], y_test=y[:2])
    images = datasets.load("cifar10", tmp_path)
    np.testing.assert_array_equal(images.x_train, x)
    np.testing.assert_array_equal(images.x_test, x[:2])
    np.testing.assert_allclose(images.normalised(x).mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(images.normalised(x).std((0, 1, 2)), 1, rtol=1e-5)
    with pytest.raises(FileNotFoundError, match=r"mnist\.npz"):
        datasets.load("mnist", tmp_path)


@pytest.mark.shared
def test_cifar10_of_the_team(datasets: ModuleType, shared_dir: Path) -> None:
    images = datasets.load("cifar10", shared_dir / "data")
    assert images.x_train.shape == (50_000, 32, 32, 3)
    np.testing.assert_allclose(images.mean / 255, (0.49140, 0.48216, 0.44653), atol=1e-5)
    np.testing.assert_allclose(images.deviation / 255, (0.24703, 0.24349, 0.26159), atol=1e-5)


def test_runs_have_names_of_their_own() -> None:
    names = ("mnist_lenet5", "cifar10_resnet", "cifar10_vgg7", "sq_gamma", "ttq_sparsity")
    runs = [run for name in names for run in _runs(name)]
    by_folder = {run.folder: run.config() for run in runs}
    assert all(by_folder[run.folder] == run.config() for run in runs)


def test_the_page_is_what_the_rows_say() -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    words = [sys.executable, FOLDER / "page.py", "--check"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    text = (PROJECT / "docs" / "results.md").read_text()
    for name in text.split("](_static/results/")[1:]:
        assert (PROJECT / "docs" / "_static" / "results" / name.partition(")")[0]).is_file()


def test_the_page_labels_short_runs() -> None:
    page = importlib.import_module("page")
    run = next(run for run in _runs("cifar10_resnet") if run.method.name == "SWS")
    row = {
        "config": replace(run, epochs=12).config(),
        "name": run.name,
        "accuracy": 80.5,
        "best": 81.25,
        "curve": [80.0, 81.25, 80.5],
        "compression": 16.0,
        "layers": [{"name": "conv0", "weights": 100, "bits": 2, "density": 0.75}] * 20,
    }
    text = page.page([row])
    assert "| SWS | 91.65 | 80.50 | 81.25 | 1 | 12 of 200 | 2 | 25.0 % | 16.0 |" in text
    assert "| FP | 91.70 | – | – | – | 0 of 200 | – | – | – |" in text
    assert "0 of 21 runs are recorded in full length" in text
    other = {**row, "config": {**row["config"], "seed": 1}, "accuracy": 81.0}
    other["layers"] = [{**layer, "bits": 1 + (number in (0, 19))} for number, layer in enumerate(row["layers"])]
    assert "| 80.75 (80.50–81.00) | 81.25 (81.25–81.25) | 2 | 12 of 200 | 2, 2-1x18-2 |" in page.page([row, other])
