"""Train the same models on one CPU device and on two, and write their variables to a file.

    XLA_FLAGS=--xla_force_host_platform_device_count=2 python tests/tern_keras/distributed_run.py run.npz

The devices are logical ones of the one CPU, which a process must ask for before its backend starts: hence a script.
The file holds `<model>/<devices>/<variable>` for the variables of each model and of its optimizer, and for the metrics.
The first axis of each is that of the devices: the copies that they hold. `refusal` is a message.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import keras
import numpy as np

from tern_keras.layers import QuantDense
from tern_keras.models import TwoPassModel
from tern_keras.ops.sq import BETA_MIN
from tern_keras.optimizers import SplitOptimizer
from tern_keras.quantizers import ALIASES, SQ
from tern_keras.regularizers import AdaptiveRegularizer

DEVICES = 2
TENSORFLOW = keras.backend.backend() == "tensorflow"
FEATURES, UNITS, BATCH, STEPS = 6, 3, 8, 4
MODELS = {"one_pass": keras.Model, "two_pass": TwoPassModel}


def model(cls: type[keras.Model]) -> keras.Model:
    """A layer with each quantizer side by side: what one of them computes does not reach the others."""
    quantizers = {
        **{alias: alias for alias in ALIASES},
        "ttq_sparse": "ttq(sparsity=0.4, init='mean', power_of_two=True)",
        "twn_per_filter": "twn(per_filter=True)",
        # its beta starts close to the lower end, and nothing pulls it up
        "sq_adaptive": SQ(AdaptiveRegularizer(0.1, 0.0), beta=BETA_MIN + 0.001),
    }
    inputs = keras.Input((FEATURES,))
    branches = [QuantDense(UNITS, kernel_quantizer=quantizer, name=name) for name, quantizer in quantizers.items()]
    outputs = keras.layers.Concatenate()([branch(inputs) for branch in branches])
    return cls(inputs, outputs, name="model")


def prepare(built: keras.Model) -> keras.Model:
    """Return the model with weights beyond the bound of BinaryConnect, and the quantizers calibrated to them."""
    rng = np.random.default_rng(0)
    for layer in built.layers:
        if isinstance(layer, QuantDense):
            layer.kernel.assign(rng.normal(size=layer.kernel.shape))
            layer.kernel_quantizer.calibrate(layer.kernel)
    return built


def train(built: keras.Model) -> dict[str, float]:
    """Train for a few steps, and return the metrics."""
    # without clipping: on TensorFlow, Keras clips the gradient of each replica and then adds up
    optimizer = SplitOptimizer(keras.optimizers.Adam(0.05), keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True))
    # XLA on CPUs has no collectives for MirroredStrategy
    built.compile(optimizer, "mse", metrics=["mae"], jit_compile=not TENSORFLOW)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(STEPS * BATCH, FEATURES)).astype(np.float32)
    y = rng.normal(size=(STEPS * BATCH, *built.output_shape[1:])).astype(np.float32)
    return {
        name: value for name, (value,) in built.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0).history.items()
    }


def two_devices() -> Callable[[], AbstractContextManager[None]]:
    """Return a context in which models are created, and trained, on all devices."""
    if TENSORFLOW:
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * DEVICES)
        # one for all models: collectives of several strategies in a process mix up
        return tf.distribute.MirroredStrategy([f"/cpu:{device}" for device in range(DEVICES)]).scope

    @contextmanager
    def data_parallel() -> Iterator[None]:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        yield
        keras.distribution.set_distribution(None)

    return data_parallel


def replicas(variable: keras.Variable) -> list[np.ndarray]:
    """Return the copies of a variable that the devices hold."""
    if TENSORFLOW:
        return [copy.numpy() for copy in getattr(variable.value, "values", [variable.value])]
    return [np.asarray(shard.data) for shard in variable.value.addressable_shards]


def scaled_loss_refusal(context: Callable[[], AbstractContextManager[None]]) -> str:
    """Return the message with which two passes refuse to scale the loss on replicas, "" if they do not."""
    keras.config.set_dtype_policy("mixed_float16")
    with context():
        built = model(TwoPassModel)
        try:
            built.compile(SplitOptimizer("adam", "sgd"), "mse")
        except ValueError as error:
            return str(error)
    return ""


def main(path: str) -> None:
    """Train all and write."""
    results: dict[str, np.ndarray] = {}
    contexts = {1: nullcontext, DEVICES: two_devices()}
    for name, cls in MODELS.items():
        for devices, context in contexts.items():
            # equal names and initial values
            keras.backend.clear_session()
            keras.utils.set_random_seed(0)
            with context():
                built = prepare(model(cls))
                values = {f"start {variable.path}": replicas(variable) for variable in built.variables}
                metrics = train(built)
            values |= {variable.path: replicas(variable) for variable in built.variables}
            for position, variable in enumerate(built.optimizer.variables):
                values[f"optimizer {position} {variable.name}"] = replicas(variable)
            values |= {f"metric {metric}": [np.float32(value)] * devices for metric, value in metrics.items()}
            results |= {f"{name}/{devices}/{key}": np.stack(copies) for key, copies in values.items()}
    results["refusal"] = np.array(scaled_loss_refusal(contexts[DEVICES]))
    np.savez(path, **results)


if __name__ == "__main__":
    main(sys.argv[1])
