"""Models that train otherwise than by one update of all variables a batch."""

from typing import Any

import keras
from keras import ops

from tern_keras.optimizers import SplitOptimizer, without_loss_scaling


@keras.saving.register_keras_serializable(package="tern_keras")
class TwoPassModel(keras.Model):
    """A Functional model that trains the quantizers' variables and the weights in two passes over each batch.

    The first pass goes forward and backward and updates only what the quantizers train, the threshold δ of
    `tern_keras.quantizers.TruncatedGaussian`; the second one sees the new thresholds and updates only the weights:

        δ ← δ - η_δ · dL(δ, w) / dδ,    then    w ← w - η · dL(δ, w) / dw

    with the update rules of the two optimizers of a `tern_keras.optimizers.SplitOptimizer`, which the model must be
    compiled with. A step costs two ordinary ones. Metrics and the optimizer's `iterations` count a batch once, in the
    second pass; both passes move the statistics of batch normalisation and draw a dropout mask, as they do in the
    authors' code. With the policy mixed_float16, Keras' `LossScaleOptimizer` counts each pass, two steps a batch, also
    towards the next doubling of its scale; `iterations` of the `SplitOptimizer` inside it still counts batches.

    Args:
        inputs: as of a Functional `keras.Model`; those of another model, e.g. `model.inputs[0]`, share its layers.
        outputs: its outputs, e.g. `model.outputs[0]`.
        **kwargs: `name` and `trainable` of a Keras model.

    Example:
        >>> import tern_keras
        >>> floats = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> ternary = tern_keras.ternarize(floats, "tga", skip=())
        >>> model = TwoPassModel(ternary.inputs[0], ternary.outputs[0])
        >>> thresholds = keras.optimizers.SGD(1e-4, momentum=0.9, nesterov=True, clipvalue=1e-3)
        >>> model.compile(SplitOptimizer(keras.optimizers.Adam(1e-4, weight_decay=5e-6), thresholds), "mse")
        >>> history = model.fit(keras.ops.ones((8, 4)), keras.ops.ones((8, 2)), verbose=0)
        >>> int(model.optimizer.iterations)
        1

    References:
        He, Fan, "Simultaneously optimizing weight and quantizer of ternary neural network using truncated Gaussian
        approximation", CVPR 2019 (arXiv:1810.01018), and the authors' code, github.com/elliothe/tern_repo.
    """

    def compile(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Configure training, as `keras.Model.compile` does.

        Args:
            optimizer: a `SplitOptimizer`, or what Keras makes one from.
            *args: the other arguments of `keras.Model.compile`.
            **kwargs: the same, by name.

        Raises:
            ValueError: `optimizer` is not a `SplitOptimizer`, or its loss would be scaled on several replicas of
                `tf.distribute`, as it is with the policy mixed_float16.
        """
        optimizer = keras.optimizers.get(optimizer)
        if not isinstance(without_loss_scaling(optimizer), SplitOptimizer):
            raise ValueError(
                f"{type(self).__name__} '{self.name}' updates the quantizers' variables and the weights apart: compile "
                "it with a tern_keras.optimizers.SplitOptimizer(optimizer, quantizer_optimizer), "
                f"received {type(optimizer).__name__}."
            )
        super().compile(optimizer, *args, **kwargs)
        # there the loss scaling applies the optimizer in threads of its own, which `SplitOptimizer.only` does not reach
        replicas = getattr(getattr(self, "distribute_strategy", None), "num_replicas_in_sync", 1)
        if replicas > 1 and self.optimizer is not without_loss_scaling(self.optimizer):
            self.compiled = False  # so that `fit` refuses too
            raise ValueError(
                f"{type(self).__name__} '{self.name}' cannot scale its loss on {replicas} replicas: train it with the "
                "policy mixed_bfloat16 or float32, or pass auto_scale_loss=False."
            )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a restored model with the configuration that `get_compile_config` returned."""
        # Keras does it for a model with its own `compile` only if it says how
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def train_step(self, *args: Any) -> Any:
        """Train on one batch in two passes. Keras calls it.

        Args:
            *args: what the backend's trainer passes to `keras.Model.train_step`: on JAX the state and the data,
                elsewhere the data.

        Returns:
            What that function returns: the metrics, and on JAX the new state beside them.
        """
        return self._stateless_passes(*args) if len(args) == 2 else self._passes(*args)

    def compute_metrics(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Update and return the metrics, as `keras.Model.compute_metrics` does, but not in the first pass."""
        split = without_loss_scaling(self.optimizer)
        return super().compute_metrics(*args, **kwargs) if split.trains(split.optimizer) else {}

    def _passes(self, data: Any) -> Any:
        """Train on `data` by the variables themselves."""
        split = without_loss_scaling(self.optimizer)
        # above all the mean of the loss, which Keras updates outside compute_metrics
        metrics = [(variable, ops.copy(variable)) for variable in self.metrics_variables]
        with split.only(split.quantizer_optimizer):
            super().train_step(data)
        for variable, value in metrics:
            variable.assign(value)
        with split.only(split.optimizer):
            return super().train_step(data)

    def _stateless_passes(self, state: tuple[Any, ...], data: Any) -> tuple[Any, tuple[Any, ...]]:
        """Train on `data` as a function of `state`, whose last part are the metrics."""
        split = without_loss_scaling(self.optimizer)
        with split.only(split.quantizer_optimizer):
            _, (*trained, _) = super().train_step(state, data)
        with split.only(split.optimizer):
            return super().train_step((*trained, state[-1]), data)
