"""LeNet-5 on MNIST with ternary weights: train, export, verify on all 10,000 test images, run on an emulated Cortex-M4.

    python examples/mnist_lenet5.py --quantizer ttq
    python examples/mnist_lenet5.py --quantizer "twn(per_filter=True)" --epochs 8 --data-dir path/with/mnist.npz

Without --data-dir Keras downloads MNIST. Interrupted training goes on at its last epoch.
"""

import argparse
import json
import re
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.progress import Progress

from tern_keras import finalize, summary
from tern_keras.layers import QuantConv2D, QuantDense
from tern_keras.regularizers import AdaptiveRegularizer
from tflite_export import export, run, verify

CALIBRATION_SAMPLES = 500
LEARNING_RATE = 3e-3
BATCH = 128


def load_mnist(data_dir: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images as float32 in [0, 1], shape (samples, 28, 28, 1), and labels: train, then test."""
    if data_dir is None:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    else:
        with np.load(data_dir / "mnist.npz") as file:
            x_train, y_train, x_test, y_test = (file[key] for key in ("x_train", "y_train", "x_test", "y_test"))
    x_train, x_test = ((x / 255).astype("float32")[..., None] for x in (x_train, x_test))
    return x_train, y_train.astype("int32"), x_test, y_test.astype("int32")


def lenet5(quantizer: str) -> keras.Model:
    """LeNet-5, 6-16-120-84-10, every kernel quantised: 61,470 weights.

    Batch-norm after each layer takes up the scales, TTQ's initial Wp = Wn = 1 among them, and folds away at export.
    """
    penalty = AdaptiveRegularizer(strength=0.1, gamma=1e-2) if quantizer.startswith("sq") else None
    options = {"use_bias": False, "kernel_quantizer": quantizer, "kernel_regularizer": penalty}
    normalised, relu = keras.layers.BatchNormalization, keras.layers.ReLU
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            QuantConv2D(6, 5, padding="same", **options),
            normalised(),
            relu(),
            keras.layers.MaxPooling2D(),
            QuantConv2D(16, 5, **options),
            normalised(),
            relu(),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            QuantDense(120, **options),
            normalised(),
            relu(),
            QuantDense(84, **options),
            normalised(),
            relu(),
            QuantDense(10, **options),
            normalised(),
            keras.layers.Softmax(),
        ],
        name="lenet5",
    )


def augment() -> keras.Sequential:
    """Shifts of up to two pixels and small turns."""
    return keras.Sequential(
        [keras.layers.RandomTranslation(2 / 28, 2 / 28, "constant"), keras.layers.RandomRotation(0.02, "constant")]
    )


def train(model: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int, folder: Path) -> None:
    """Train with Adam and a cosine schedule; an interrupted run continues from its last epoch."""
    import tensorflow as tf

    distort = augment()
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=0).batch(BATCH, drop_remainder=True)
    data = data.map(lambda images, labels: (distort(images, training=True), labels), num_parallel_calls=2).prefetch(2)
    steps = epochs * (len(x) // BATCH)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    backup = keras.callbacks.BackupAndRestore(folder / f"backup_{epochs}_epochs")  # deleted when training is through
    model.fit(data, epochs=epochs, callbacks=[backup], verbose=2)


def main() -> None:
    """Train, export, verify, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quantizer", default="ttq", help="twn, ttq, sq, with arguments if you like")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--data-dir", type=Path, help="folder with Keras' mnist.npz")
    parser.add_argument("--out", type=Path, default=Path("build/mnist_lenet5"))
    parser.add_argument("--board-samples", type=int, default=500, help="test images for the emulated board")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.data_dir is not None and not (options.data_dir / "mnist.npz").is_file():
        parser.error(f"{options.data_dir} holds no mnist.npz: leave --data-dir out to download it with Keras")

    keras.utils.set_random_seed(options.seed)
    x_train, y_train, x_test, y_test = load_mnist(options.data_dir)
    folder = options.out / re.sub(r"\W+", "_", f"{options.quantizer} seed {options.seed}")
    model = lenet5(options.quantizer)
    train(model, x_train, y_train, options.epochs, folder)
    summary(model)

    final = finalize(model)
    final.save(folder / "lenet5.keras")
    in_keras = float(np.mean(final.predict(x_test, verbose=0).argmax(1) == y_test))
    report = export(final, folder, calibration=x_train[:CALIBRATION_SAMPLES], name="lenet5")
    checked = verify(report, x_test, y_test)
    console = Console(width=None if Console().is_terminal else 140)
    console.print(report.table())
    console.print(checked.table())
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("Cortex-M4", total=options.board_samples)
        first = slice(options.board_samples)
        on_board = run(report, x_test[first], y_test[first], progress=lambda n: progress.update(task, completed=n))
    console.print(on_board.table())

    results = {
        "quantizer": options.quantizer,
        "epochs": options.epochs,
        "accuracy_keras": in_keras,
        "accuracy_int8": checked.checks[0].accuracy,
        "accuracy_c": checked.checks[1].accuracy,
        "images_that_differ_on_the_host": checked.checks[1].different,
        "images_that_differ_on_the_m4": on_board.different,
        "weight_bytes": report.weight_bytes,
        "arena_bytes": report.arena_bytes,
        "code_bytes": on_board.sizes.text,
        "instructions": on_board.instructions,
    }
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    console.print(f"accuracy in Keras {in_keras:.2%}; artefacts and results.json in {folder}")
    if not checked.ok or on_board.different:
        raise SystemExit("outputs differ from the int8 reference")


if __name__ == "__main__":
    main()
