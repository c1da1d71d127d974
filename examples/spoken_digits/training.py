"""The network and how it is trained: fresh distortions every epoch, features from the chip's C."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from spoken_digits.front_end import COEFFICIENTS, FEATURE_SCALE, FrontEnd, Normalisation, frames_in
from spoken_digits.recordings import WINDOW_SAMPLES, WORDS, Recordings, distort
from tern_keras.applications import ds_cnn
from tern_keras.layers import ActivationQuantizer

BATCH = 64


def build_network() -> keras.Model:
    """MLPerf Tiny's DS-CNN for ten words, each stored activation rounded to int8 while it trains.

    Its input has the features' own grid, so that their bytes are the deployed model's input.
    """

    def rounded(layer: keras.layers.Layer, x: keras.KerasTensor, **options: bool) -> keras.KerasTensor:
        if layer.name == "conv":
            grid = (-128 * FEATURE_SCALE, 127 * FEATURE_SCALE)
            x = ActivationQuantizer(initial_range=grid, trainable=False, name="features")(x)
        y = layer(x, **options)
        return ActivationQuantizer(name=f"{layer.name}_int8")(y) if isinstance(layer, keras.layers.ReLU) else y

    network = ds_cnn((frames_in(WINDOW_SAMPLES), COEFFICIENTS, 1), len(WORDS))
    return keras.models.clone_model(network, call_function=rounded)


def as_inputs(features: np.ndarray) -> np.ndarray:
    """Features, int8 of shape (recordings, frames, coefficients), as the network takes them: float32, one channel."""
    return features[..., None].astype(np.float32) * np.float32(FEATURE_SCALE)


class DistortedRecordings(keras.utils.PyDataset):
    """Batches of recordings, distorted anew every epoch.

    An epoch's distortions and order depend on nothing but the seed and its number: interrupted training that goes on
    sees what it would have seen.

    Args:
        recordings: the training set.
        front_end: computes the features.
        normalisation: of the features.
        seed: of the distortions.
    """

    def __init__(
        self, recordings: Recordings, front_end: FrontEnd, normalisation: Normalisation, seed: Sequence[int]
    ) -> None:
        super().__init__()
        self.recordings, self.front_end, self.normalisation, self.seed = recordings, front_end, normalisation, seed
        self.epoch: int | None = None

    def __len__(self) -> int:
        return max(1, len(self.recordings) // BATCH)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        if self.epoch is None:
            self.begin(0)
        chosen = self.order[batch * BATCH : (batch + 1) * BATCH]
        return as_inputs(self.features[chosen]), self.recordings.labels[chosen]

    def begin(self, epoch: int) -> None:
        """Distort for an epoch."""
        rng = np.random.default_rng([*self.seed, epoch])
        audio = np.stack([distort(wave, rng) for wave in self.recordings.waves])
        self.features = self.front_end.features(audio, self.normalisation)
        self.order = rng.permutation(len(audio))
        self.epoch = epoch


def train(model: keras.Model, data: DistortedRecordings, epochs: int, rate: float, folder: Path) -> None:
    """Train with Adam and a cosine schedule; interrupted training goes on at its last epoch.

    Args:
        model: to train, in place.
        data: the training set.
        epochs: how often to go through it.
        rate: the learning rate to start from.
        folder: for what an interrupted run needs; empty when training is through.
    """
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * len(data))
    model.compile(
        keras.optimizers.Adam(schedule),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        # of depthwise convolutions, TensorFlow's XLA makes slower code for a CPU than its kernels are
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    begin = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: data.begin(epoch))
    backup = keras.callbacks.BackupAndRestore(folder)
    model.fit(data, epochs=epochs, callbacks=[backup, begin], verbose=2)


def accuracy(model: keras.Model, inputs: np.ndarray, labels: np.ndarray) -> float:
    """The fraction of inputs that a model labels right."""
    outputs = keras.ops.convert_to_numpy(model(inputs, training=False))
    return float(np.mean(outputs.argmax(1) == labels))
