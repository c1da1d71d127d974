"""A learning rate of their own for scales, thresholds and β."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import keras

from tern_keras.ops.gradients import Tensor

# What `SplitOptimizer.only` names, by the id of the SplitOptimizer. Of the context, hence of the thread:
# MirroredStrategy traces its replicas in threads that alternate.
_only: ContextVar[Mapping[int, Any]] = ContextVar("only", default=MappingProxyType({}))


@keras.saving.register_keras_serializable(package="tern_keras")
class SplitOptimizer(keras.optimizers.Optimizer):
    """Trains the quantizers' variables with one optimizer and all other variables with another.

    Each of the two keeps its own learning rate or schedule, momentum, weight decay and clipping, so that β does
    not race to an end of its range at the rate of the weights, and no decay pulls on the scales. Gradients
    multiplied by a factor would not do: Adam divides the factor out again.

    `learning_rate` is that of `optimizer`, and callbacks set that one; the other is
    `quantizer_optimizer.learning_rate`.

    Args:
        optimizer: Keras optimizer, its name or its configuration, for kernels, biases and normalisation.
        quantizer_optimizer: the same, for the trainable variables that quantizers own: Wp and Wn of `TTQ`, μ and β
            of `SQ`, the threshold of `TruncatedGaussian`. Another object than `optimizer`.
        name: name of the optimizer.

    Raises:
        ValueError: both are one object, or one is not an optimizer.

    Example:
        >>> optimizer = SplitOptimizer(keras.optimizers.Adam(1e-2, weight_decay=1e-4), keras.optimizers.SGD(1e-4))
        >>> round(float(optimizer.learning_rate), 6), round(float(optimizer.quantizer_optimizer.learning_rate), 6)
        (0.01, 0.0001)
    """

    def __init__(self, optimizer: Any, quantizer_optimizer: Any, name: str | None = None) -> None:
        # the rate of the base class is never used: `learning_rate` is overridden below
        super().__init__(learning_rate=0.0, name=name)
        self.optimizer = keras.optimizers.get(optimizer)
        self.quantizer_optimizer = keras.optimizers.get(quantizer_optimizer)
        if self.optimizer is self.quantizer_optimizer:
            raise ValueError("SplitOptimizer: pass two optimizers; one object cannot serve both groups of variables.")

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the state of both optimizers for the trainable `variables` of a model."""
        for optimizer, part in self._parts(variables):
            optimizer.build(part)
        super().build(variables)

    @contextmanager
    def only(self, optimizer: Any) -> Iterator[None]:
        """Let `apply` update one of the two groups of variables while the context lasts, and leave the other alone.

        A step of a training loop of one's own then trains the quantizers or the rest. It takes effect when the step
        is traced, so a compiled step keeps the groups that it was traced with.

        Args:
            optimizer: one of the two: `self.optimizer` or `self.quantizer_optimizer`.

        Yields:
            None.

        Raises:
            ValueError: `optimizer` is neither.

        Example:
            >>> split = SplitOptimizer(keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.5))
            >>> weight = keras.Variable(1.0)
            >>> with split.only(split.quantizer_optimizer):
            ...     split.apply([keras.ops.ones(())], [weight])
            >>> float(weight), int(split.iterations)
            (1.0, 0)
        """
        if optimizer is not self.optimizer and optimizer is not self.quantizer_optimizer:
            raise ValueError(
                f"SplitOptimizer.only() takes its `optimizer` or its `quantizer_optimizer`, received {optimizer!r}."
            )
        token = _only.set({**_only.get(), id(self): optimizer})
        try:
            yield
        finally:
            _only.reset(token)

    def trains(self, optimizer: Any) -> bool:
        """Return whether `apply` updates the group of `optimizer`, one of the two: yes, unless `only` names the other.

        Args:
            optimizer: `self.optimizer` or `self.quantizer_optimizer`.
        """
        return _only.get().get(id(self), optimizer) is optimizer

    def _parts(self, variables: Iterable[keras.Variable]) -> Iterator[tuple[Any, list[keras.Variable]]]:
        """Yield each optimizer and those of `variables` that it trains."""
        variables = list(variables)
        for optimizer, of_quantizer in ((self.optimizer, False), (self.quantizer_optimizer, True)):
            yield optimizer, [v for v in variables if getattr(v, "owned_by_quantizer", False) == of_quantizer]

    @property
    def variables(self) -> list[keras.Variable]:
        """The state of both optimizers, and the count of steps."""
        return self._variables + self.optimizer.variables + self.quantizer_optimizer.variables

    @property
    def learning_rate(self) -> Tensor:
        """Learning rate of all variables but the quantizers'; may be set as on any optimizer."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.optimizer.learning_rate = learning_rate

    def apply(self, grads: Sequence[Tensor], trainable_variables: Iterable[keras.Variable] | None = None) -> None:
        """Update each variable with the optimizer of its group, unless `only` names another.

        `iterations` counts the updates of the weights: two passes over a batch, one for each group, are one step.

        Args:
            grads: gradients, one for each variable.
            trainable_variables: the variables; None for those that the optimizer was built with.
        """
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        if not self.built:
            self.build(variables)
        grads, variables = self._filter_empty_gradients(grads, variables)
        gradients = {id(v): g for g, v in zip(grads, variables, strict=True)}
        for optimizer, part in self._parts(variables):
            if self.trains(optimizer):
                optimizer.apply([gradients[id(v)] for v in part], part)
        if self.trains(self.optimizer):
            self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list: Iterable[keras.Variable]) -> None:
        """Give the variables their final values, e.g. the moving averages that an optimizer keeps."""
        for optimizer, part in self._parts(var_list):
            optimizer.finalize_variable_values(part)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "name": self.name,
            "optimizer": keras.optimizers.serialize(self.optimizer),
            "quantizer_optimizer": keras.optimizers.serialize(self.quantizer_optimizer),
        }


def without_loss_scaling(optimizer: Any) -> Any:
    """Return `optimizer`, or the one inside it if it is the `LossScaleOptimizer` that mixed_float16 puts around it.

    Args:
        optimizer: Keras optimizer.

    Example:
        >>> adam = keras.optimizers.Adam()
        >>> without_loss_scaling(keras.optimizers.LossScaleOptimizer(adam)) is adam
        True
    """
    return optimizer.inner_optimizer if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else optimizer
