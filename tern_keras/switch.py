"""Switch all quantizers off for a while: the float model behind the quantised one."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras

# not thread-local: MirroredStrategy runs each replica in a thread of its own
_enabled = True
_STEPS = ("train", "test", "predict")


def quantization_enabled() -> bool:
    """Return whether the quantizers are on; the quantised layers ask whenever they are called or traced."""
    return _enabled


@contextmanager
def quantization(enabled: bool) -> Iterator[None]:
    """Run models with the quantizers on or off while the context lasts.

    With `quantization(False)` every quantised layer computes with its latent kernels and every `ActivationQuantizer`
    passes its input on, in `fit`, `evaluate` and `predict` too: the steps that Keras has compiled are set aside, and
    come back at the end. A function that you compile yourself, with `tf.function` or `jax.jit`, stays as it was traced.

    `finalize` and the export take the quantised kernels all the same. In `fit` what the quantizers train has no
    gradient; an optimizer with momentum may move it on. The switch is one for the process: throw it in one thread.

    Args:
        enabled: whether quantised layers quantise.

    Yields:
        None.

    Raises:
        TypeError: `enabled` is neither True nor False.

    Example:
        >>> from tern_keras.layers import QuantDense
        >>> model = keras.Sequential([keras.Input((1,)), QuantDense(2, use_bias=False, kernel_quantizer="twn")])
        >>> model.set_weights([keras.ops.array([[0.5, 0.25]])])
        >>> with quantization(False):
        ...     keras.ops.convert_to_numpy(model(keras.ops.ones((1, 1)))).tolist()
        [[0.5, 0.25]]
        >>> keras.ops.convert_to_numpy(model(keras.ops.ones((1, 1)))).tolist()
        [[0.5, 0.0]]
    """
    global _enabled
    if not isinstance(enabled, bool):
        raise TypeError(f"quantization() takes True or False, received {enabled!r}.")
    if enabled == _enabled:
        yield
        return
    before = [(model, _compilation(model), _steps(model)) for model in _live_models()]
    try:
        _retrace_all_models()
        _enabled = enabled
        yield
    finally:
        _enabled = not enabled
        # the models that were made in the context too
        _retrace_all_models()
        for model, compilation, steps in before:
            if _compilation(model) is compilation:
                for name in _steps(model):
                    del vars(model)[name]
                vars(model).update(steps)


def _compilation(model: keras.Model) -> object:
    """Return an object that each call of `model.compile` makes anew; None before the first."""
    # no public attribute tells: optimizer, loss and metrics may be the same objects as before
    return vars(model).get("_compile_config")


def _steps(model: keras.Model) -> dict[str, Any]:
    """Return what `model` itself, not its class, holds of its steps: compiled, and exchanged by this module."""
    names = [f"{step}_{kind}" for step in _STEPS for kind in ("step", "function")]
    return {name: vars(model)[name] for name in names if name in vars(model)}


def _retrace_all_models() -> None:
    """Make each model compile its steps anew when it next runs them."""
    for model in _live_models():
        for step in _STEPS:
            setattr(model, f"{step}_function", None)
            # a new object: JAX would find the trace of an equal function, and bound methods are equal
            vars(model)[f"{step}_step"] = partial(getattr(model, f"{step}_step"))


def _live_models() -> list[keras.Model]:
    # Keras keeps no list of its models, and a layer does not know the models that it is part of;
    # type() and not isinstance(), which asks proxies for their class
    return [found for found in gc.get_objects() if issubclass(type(found), keras.Model)]
