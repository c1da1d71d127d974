"""Networks as they are deployed, on a few random images: they train, their C equals the reference, rows are kept."""

import importlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest

from tern_keras import applications
from tern_keras.layers import ActivationQuantizer

PROJECT = Path(__file__).resolve().parent.parent
CLASSES = 10


@pytest.fixture(autouse=True)
def scripts_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "examples" / "reproduce"))


@pytest.fixture
def distillation() -> ModuleType:
    return importlib.import_module("distillation")


@pytest.fixture
def deployed() -> ModuleType:
    return importlib.import_module("deployed")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """As many images as two batches take, and a rest."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, samples in (("train", 260), ("test", 20)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (samples, 28, 28), dtype=np.uint8)
        arrays[f"y_{part}"] = rng.integers(0, CLASSES, samples, dtype=np.uint8)
    np.savez(tmp_path / "fashion_mnist.npz", **arrays)
    return tmp_path


def _run(module: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    options = ("--data-dir", folder, "--results", folder / "results", "--out", folder / "out", "--board-samples", 1)
    monkeypatch.setattr(sys, "argv", [str(module.__file__), *words, *map(str, options)])
    module.main()


def _rows(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / "results" / f"{name}.jsonl").read_text().splitlines()]


def test_a_deployed_network_is_recorded_once(
    deployed: ModuleType, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("lenet5_fashion", "--epochs", "1", "2", "1")
    _run(deployed, data_dir, monkeypatch, *words)
    (row,) = _rows(data_dir, "deployed")
    assert {stage: len(curve) for stage, curve in row["curves"].items()} == {"float": 1, "ternary": 2, "int8": 1}
    ternary, small, int8 = (row["deployed"][key] for key in ("ternary, speed", "ternary, size", "int8, speed"))
    for figures in (ternary, small, int8):
        assert figures["images"] == 20
        assert figures["different"] == figures["board"]["different"] == 0
        assert figures["accuracy"]["C"] == figures["accuracy"]["int8"]
    assert [layer["name"] for layer in ternary["layers"]] == ["conv1", "conv2", "fc1", "fc2", "head"]
    assert [layer["format"] == "int8" for layer in ternary["layers"]] == [True, False, False, False, True]
    assert all(layer["format"] == "int8" for layer in int8["layers"])
    assert small["weight_bytes"]["C"] < ternary["weight_bytes"]["C"] < int8["weight_bytes"]["C"] / 3
    _run(deployed, data_dir, monkeypatch, *words)
    assert "recorded" in capsys.readouterr().out
    assert len(_rows(data_dir, "deployed")) == 1
    section = importlib.import_module("networks_in_c").deployed_section([row])
    assert f"| **{ternary['accuracy']['C']:.2f}** | 0 of 20 | 0 of 1 | 1-2-1 |" in section
    assert f"| LeNet-5 on Fashion-MNIST, ternary, size | {small['weight_bytes']['C']:,} |" in section


def test_the_methods_start_from_one_network(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    methods = importlib.import_module("methods")
    monkeypatch.setattr(methods, "BOARD_SAMPLES", 1)
    main = importlib.import_module("command").main
    options = ("--data-dir", data_dir, "--results", tmp_path / "results", "--out", tmp_path / "out", "--epochs", 1)
    for name in ("float", "SQ"):
        monkeypatch.setattr(sys, "argv", ["methods.py", *map(str, options), "--only", name])
        main("methods", methods.__doc__, methods.RUNS, methods.in_c)
    start, row = _rows(tmp_path, "methods")
    assert "deployed" not in start
    speed, size = row["deployed"]["speed"], row["deployed"]["size"]
    assert speed["different"] == size["different"] == speed["board"]["different"] == 0
    assert size["flash"] < speed["flash"]
    networks_in_c = importlib.import_module("networks_in_c")
    section = networks_in_c.methods_section([start, row], "methods.svg")
    (line,) = (line for line in section.splitlines() if line.startswith("| SQ"))
    assert f"| {speed['board']['cycles']:,} / {size['board']['cycles']:,} |" in line
    networks_in_c.draw_methods(networks_in_c.method_rows([start, row]), tmp_path / "methods.svg")
    assert "SQ" in (tmp_path / "methods.svg").read_text()


def test_distillation_loss(distillation: ModuleType) -> None:
    rng = np.random.default_rng(0)
    label, teacher, student = np.array([2, 0]), rng.normal(size=(2, 3)), rng.normal(size=(2, 3))

    def log_softmax(logits: np.ndarray) -> np.ndarray:
        return logits - np.log(np.exp(logits).sum(1, keepdims=True))

    hard = -log_softmax(student)[[0, 1], label]
    soft = -(np.exp(log_softmax(teacher / 4)) * log_softmax(student / 4)).sum(1)
    loss = distillation.DistillationLoss(temperature=4.0, share=0.25, reduction=None)
    targets = np.concatenate([label[:, None], teacher], axis=1).astype("float32")
    found = keras.ops.convert_to_numpy(loss(targets, student.astype("float32")))
    np.testing.assert_allclose(found, 0.75 * hard + 0.25 * 16 * soft, rtol=1e-5)
    assert loss.get_config() == type(loss).from_config(loss.get_config()).get_config()


def test_logits_are_those_of_the_batch_and_its_mirror_image(distillation: ModuleType, data_dir: Path) -> None:
    datasets = importlib.import_module("datasets")
    images = datasets.load("fashion_mnist", data_dir)
    batches = datasets.Batches(images, 100, 2, True, 0, 0)
    teacher = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
    logits = distillation.teach(teacher, batches)
    assert logits.shape == (2, 100, CLASSES)
    x, targets = distillation.Distilled(batches, logits)[1]
    np.testing.assert_array_equal(x, batches[1][0])
    np.testing.assert_array_equal(targets[:, 0], batches[1][1])
    expected = (teacher.predict(x, verbose=0) + teacher.predict(x[:, :, ::-1], verbose=0)) / 2
    np.testing.assert_allclose(targets[:, 1:], expected, rtol=1e-4, atol=1e-4)


def test_ranges_stand_where_the_c_stores(deployed: ModuleType) -> None:
    model = applications.resnet8()
    ranged = deployed.with_ranges(model)
    ranges = [layer.name for layer in ranged.layers if isinstance(layer, ActivationQuantizer)]
    block1 = ["block1_conv1_relu_range", "block1_conv2_bn_range", "block1_relu_range"]
    others = ("conv1_relu_range", "shortcut_range", "conv2_bn_range", "relu_range")
    assert sorted(ranges) == sorted(["conv_relu_range", *block1, *(f"block{b}_{n}" for b in (2, 3) for n in others)])
    x = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    # no range has seen a batch yet: they pass everything on
    np.testing.assert_allclose(ranged.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)


def test_pretrained_weights_take_the_place_of_the_first_stage(deployed: ModuleType, tmp_path: Path) -> None:
    source = applications.resnet8()
    source.save(tmp_path / "weights.h5")
    deployment = replace(deployed.DEPLOYMENTS["resnet8"], pretrained=True)
    model = deployed.float_network(deployment, (32, 32, 3), tmp_path / "weights.h5")
    x = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    expected = source.predict(x, verbose=0)
    found = keras.ops.convert_to_numpy(keras.ops.softmax(model.predict(x, verbose=0)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_readme_shows_a_recorded_run() -> None:
    rows = [json.loads(line) for line in (PROJECT / "docs" / "results" / "deployed.jsonl").read_text().splitlines()]
    readme = (PROJECT / "README.md").read_text().split("`examples/reproduce/deployed.py resnet8`")[1]
    shown = re.findall(r"^\| ((?:ternary|int8), \w+) \|(.*)\|$", readme, re.MULTILINE)
    assert [name for name, _ in shown] == ["ternary, speed", "ternary, size", "int8, speed"]
    figures = {name: [float(word) for word in re.findall(r"[\d.]+", cells.replace(",", ""))] for name, cells in shown}
    recorded = [
        {name: [found["accuracy"]["C"], *figures_of(found)] for name, found in row["deployed"].items()}
        for row in rows
        if row["config"]["network"] == "resnet8"
    ]
    assert figures in recorded


def figures_of(found: dict) -> tuple[float, ...]:
    return found["weight_bytes"]["C"], found["flash"], found["arena"], found["board"]["cycles"]
