"""Distillation from a float network at little more than the cost of ordinary training.

`keras.distillation.Distiller` runs the teacher on every batch. Here epochs take turns in a few distorted copies of the
training set, so the teacher runs once on each copy, and its logits travel with the labels as the target.
"""

from typing import Any

import keras
import numpy as np
from datasets import Batches
from keras import ops


@keras.saving.register_keras_serializable(package="reproduce")
class DistillationLoss(keras.losses.Loss):
    """Cross-entropy with the label, and with the teacher's softened probabilities.

        L = (1 - share) · CE(label, softmax(z)) + share · T² · CE(softmax(t / T), softmax(z / T))

    with the student's logits z and the teacher's logits t.

    Args:
        temperature: T > 0.
        share: weight of the teacher, in [0, 1].
        **kwargs: `name`, `reduction` and `dtype` of a Keras loss.

    References:
        Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015 (arXiv:1503.02531).
    """

    def __init__(self, temperature: float, share: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.temperature, self.share = temperature, share

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each sample.

        Args:
            y_true: (batch, 1 + classes), the class's number and the teacher's logits.
            y_pred: (batch, classes), the student's logits.
        """
        label, teacher = y_true[:, 0], y_true[:, 1:]
        hard = keras.losses.sparse_categorical_crossentropy(label, y_pred, from_logits=True)
        softened = ops.softmax(teacher / self.temperature)
        soft = keras.losses.categorical_crossentropy(softened, y_pred / self.temperature, from_logits=True)
        return (1 - self.share) * hard + self.share * self.temperature**2 * soft

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "temperature": self.temperature, "share": self.share}


class Distilled(keras.utils.PyDataset):
    """Batches whose targets are what `DistillationLoss` takes.

    Args:
        batches: of images and classes.
        logits: the teacher's, as `teach` returns them for these batches.
    """

    def __init__(self, batches: Batches, logits: np.ndarray) -> None:
        super().__init__()
        self.batches, self.logits = batches, logits

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return batch `number`: images as they are, and float32 targets, (size, 1 + classes)."""
        x, y = self.batches[number]
        return x, np.concatenate([y[:, None], self.logits[number]], axis=1, dtype="float32")


def teach(teacher: keras.Model, batches: Batches) -> np.ndarray:
    """Return the teacher's logits, the mean of those of each image and of its mirror image.

    Args:
        teacher: a model that returns logits.
        batches: of images and classes.

    Returns:
        (batches, size, classes), float32.
    """
    images = (batches[number][0] for number in range(len(batches)))
    return np.stack([(teacher.predict_on_batch(x) + teacher.predict_on_batch(x[:, :, ::-1])) / 2 for x in images])
