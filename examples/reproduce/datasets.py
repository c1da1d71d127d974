"""The images: MNIST, Fashion-MNIST and CIFAR-10, and the batches of an epoch."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np


@dataclass(frozen=True, eq=False)
class Images:
    """A data set.

    Attributes:
        x_train: uint8, (samples, height, width, channels).
        y_train: int32 classes, (samples,).
        x_test: as `x_train`.
        y_test: as `y_train`.
        mean: float32 mean of each channel of `x_train`.
        deviation: float32 standard deviation of each channel of `x_train`.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    def normalised(self, x: np.ndarray) -> np.ndarray:
        """Return uint8 images as float32 with mean 0 and deviation 1 in each channel of the training set."""
        return (x.astype("float32") - self.mean) / self.deviation


def load(name: str, data_dir: Path | None = None) -> Images:
    """Load a data set.

    Args:
        name: "mnist", "fashion_mnist" or "cifar10".
        data_dir: folder with `<name>.npz`, which holds x_train, y_train, x_test and y_test, or for CIFAR-10 differences
            of pixels; None to let Keras download it.

    Returns:
        The images.

    Raises:
        FileNotFoundError: `data_dir` holds no such file.
    """
    if data_dir is None:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    elif not (path := data_dir / f"{name}.npz").is_file():
        raise FileNotFoundError(f"{data_dir} holds no {path.name}: leave --data-dir out to download it with Keras.")
    else:
        with np.load(path) as file:
            x_train, x_test = (_pixels(file, part) for part in ("train", "test"))
            y_train, y_test = file["y_train"], file["y_test"]
    x_train, x_test = (x.reshape(*x.shape[:3], -1) for x in (x_train, x_test))
    y_train, y_test = (y.reshape(-1).astype("int32") for y in (y_train, y_test))
    # float64 sums over uint8: no float copy of all the images
    mean, deviation = x_train.mean((0, 1, 2)), x_train.std((0, 1, 2))
    return Images(x_train, y_train, x_test, y_test, mean.astype("float32"), deviation.astype("float32"))


def _pixels(file: np.lib.npyio.NpzFile, part: str) -> np.ndarray:
    """Return the images of a part, uint8; "d_<part>" holds (channel, sample, row, column) of G, R - G and B - G.

    Those are differences from the pixel above and then from the one at the left, all modulo 256.
    """
    if f"d_{part}" not in file.files:
        return file[f"x_{part}"]
    green, red, blue = file[f"d_{part}"].cumsum(2, dtype="uint8").cumsum(3, dtype="uint8")
    return np.stack([red + green, green, blue + green], axis=-1)


class Batches(keras.utils.PyDataset):
    """The training batches of one epoch; their order and distortion follow from seed and epoch alone.

    So a run that was interrupted after any epoch goes on as if it had not been. Samples left over at the end, fewer
    than a batch, wait for another epoch.

    Args:
        images: the data set.
        size: samples a batch.
        pad: pixels around an image, from which a piece of its size is cut at random; 0 for none.
        flip: whether half of the images, at random, are mirrored left to right.
        seed: seed of the run.
        epoch: number of the epoch, from 0.
        border: what those pixels are: "constant", black, or "edge", the outermost ones of the image again.

    Raises:
        ValueError: there are fewer images than a batch takes.
    """

    def __init__(
        self, images: Images, size: int, pad: int, flip: bool, seed: int, epoch: int, border: str = "constant"
    ) -> None:
        super().__init__()
        self.images, self.size, self.pad, self.flip, self.border = images, size, pad, flip, border
        self.entropy = (seed, epoch)
        self.order = np.random.default_rng(self.entropy).permutation(len(images.x_train))
        if not len(self):
            raise ValueError(f"A batch takes {size} images, and the data set has {len(images.x_train)}.")

    def __len__(self) -> int:
        return len(self.order) // self.size

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return batch `number`: images float32, (size, height, width, channels), and classes, int32."""
        chosen = self.order[number * self.size : (number + 1) * self.size]
        x = self.images.x_train[chosen]
        # a generator for each batch: Keras reads some of them twice
        rng = np.random.default_rng((*self.entropy, number))
        if self.pad:
            x = shifted(x, self.pad, rng, self.border)
        if self.flip:
            x = np.where(rng.random(len(x))[:, None, None, None] < 0.5, x, x[:, :, ::-1])
        return self.images.normalised(x), self.images.y_train[chosen]


def shifted(x: np.ndarray, pad: int, rng: np.random.Generator, border: str = "constant") -> np.ndarray:
    """Return pieces of images, each cut at random from the image with a border around it.

    Args:
        x: (samples, height, width, channels).
        pad: width of the border in pixels.
        rng: the source of chance.
        border: see `Batches`.

    Returns:
        Images of the shape of `x`.
    """
    samples, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode=border)
    tops, lefts = rng.integers(0, 2 * pad + 1, (2, samples, 1, 1))
    rows = tops + np.arange(height)[:, None]
    columns = lefts + np.arange(width)
    return padded[np.arange(samples)[:, None, None], rows, columns]
