"""The check of `input_shape` that the image networks share."""

from collections.abc import Iterable, Sequence
from numbers import Integral

import keras


def image_input(function: str, input_shape: Sequence[int], smallest: int = 1) -> keras.KerasTensor:
    """Return the input of a network of images, channels last.

    Args:
        function: the caller's name, for messages.
        input_shape: (height, width, channels).
        smallest: least height and width that the network's poolings leave a pixel of.

    Returns:
        The symbolic input, of shape (batch, height, width, channels).

    Raises:
        ValueError: `input_shape` is no such shape or too small, or Keras is set to "channels_first".

    Example:
        >>> image_input("vgg16", (32, 32, 3), smallest=32).shape
        (None, 32, 32, 3)
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            f"{function}() builds channels-last models, and Keras is set to channels first: "
            'call keras.config.set_image_data_format("channels_last") before.'
        )
    shape = tuple(input_shape) if isinstance(input_shape, Iterable) else ()
    positive = all(isinstance(size, Integral) and size > 0 for size in shape)
    if len(shape) != 3 or not positive or min(shape[:2]) < smallest:
        raise ValueError(
            f"{function}(): input_shape must be (height, width, channels), three whole numbers, "
            f"height and width {smallest} or more; received {input_shape!r}."
        )
    return keras.Input(shape)
