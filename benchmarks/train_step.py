"""What ternary training costs: a train step, its first call and its memory, beside those of the float model.

    python benchmarks/train_step.py --quantizer twn ttq

Each backend runs in a process of its own, and in it all variants of a network step in turn, so that what else the
machine does meets all of them: a ratio is the median over the rounds of a ternary step to the float step beside it.
A step is `train_step` of the compiled model, SGD with momentum, on one batch in memory. "jit" is XLA; without it
TensorFlow runs its graph and JAX one operation after the other.

The first call traces and compiles; with XLA its ratio is the median of several, each compiled anew. Memory is what XLA
plans for the compiled step, arguments included, the same numbers in every run. A process's peak tells less: on
TensorFlow, which does not give its plan away, the memory of the compiler itself hides that of the step.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "benchmarks" / "results" / "train_step.json"
BACKENDS = ("tensorflow", "jax")
NETWORKS = ("resnet_cifar", "ds_cnn")
FLOAT = "float"
MEBIBYTE = 2**20

Step = Callable[[], None]


def network(name: str, quantizer: str) -> Any:
    """A compiled network in float, or all of its layers but the first and the last quantised."""
    import keras

    from tern_keras import applications, ternarize

    keras.utils.set_random_seed(0)
    model = {"resnet_cifar": lambda: applications.resnet_cifar(20), "ds_cnn": applications.ds_cnn}[name]()
    if quantizer != FLOAT:
        model = ternarize(model, quantizer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=name == "resnet_cifar")
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    model.optimizer.build(model.trainable_variables)
    return model


def samples(model: Any, batch: int) -> tuple[Any, Any]:
    """A batch of noise and labels that fits the model."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, *model.input_shape[1:])).astype("float32")
    return x, rng.integers(0, model.output_shape[-1], batch)


def tensorflow_step(model: Any, data: tuple[Any, Any], jit: bool) -> tuple[Step, Callable[[], float | None]]:
    """A train step of `model` on TensorFlow, not yet compiled, and its memory in MiB."""
    import tensorflow as tf

    function = tf.function(model.train_step, jit_compile=jit)
    tensors = tuple(map(tf.constant, data))

    def step() -> None:
        function(tensors)["loss"].numpy()

    return step, lambda: None


def jax_step(model: Any, data: tuple[Any, Any], jit: bool) -> tuple[Step, Callable[[], float | None]]:
    """A train step of `model` on JAX, not yet compiled, and its memory in MiB."""
    import jax

    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    # copies, since the compiled step takes its arguments' memory for its results
    state = tuple([jax.numpy.copy(variable.value) for variable in group] for group in groups)
    arrays = tuple(map(jax.numpy.asarray, data))

    def train(state: Any, data: Any) -> Any:
        return model.train_step(state, data)

    compiled = None if jit else train

    def step() -> None:
        nonlocal state, compiled
        if compiled is None:
            compiled = jax.jit(train, donate_argnums=0).lower(state, arrays).compile()
        _, state = jax.block_until_ready(compiled(state, arrays))

    def memory() -> float | None:
        if not jit:
            return None
        plan = compiled.memory_analysis()
        used = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
        return (used - plan.alias_size_in_bytes) / MEBIBYTE

    return step, memory


def seconds(step: Step) -> float:
    """The time of a call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def measure(backend: str, name: str, jit: bool, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One row a quantizer: the ratios to the float model, and the float model's own values."""
    make = {"tensorflow": tensorflow_step, "jax": jax_step}[backend]
    models = {variant: network(name, variant) for variant in (FLOAT, *arguments.quantizer)}
    data = samples(models[FLOAT], arguments.batch)
    first: dict[str, list[float]] = {variant: [] for variant in models}
    later: dict[str, list[float]] = {variant: [] for variant in models}
    for _ in range(arguments.compilations):
        steps = {}
        for variant, model in models.items():
            steps[variant] = make(model, data, jit)
            first[variant].append(seconds(steps[variant][0]))
    order = list(steps)
    for _ in range(arguments.rounds):
        for variant in order:
            later[variant].append(seconds(steps[variant][0]))
        order = [*order[1:], order[0]]
    memory = {variant: of() for variant, (_, of) in steps.items()}

    def ratio(times: dict[str, list[float]], variant: str) -> float:
        return statistics.median(a / b for a, b in zip(times[variant], times[FLOAT], strict=True))

    return [
        {
            "network": name,
            "backend": backend,
            "jit": jit,
            "quantizer": variant,
            "step": ratio(later, variant),
            "step_quartiles": _quartiles([a / b for a, b in zip(later[variant], later[FLOAT], strict=True)]),
            "float_step_ms": statistics.median(later[FLOAT]) * 1e3,
            "first_step": ratio(first, variant),
            "float_first_step_s": statistics.median(first[FLOAT]),
            "float_memory_mib": memory[FLOAT],
            "memory_mib": memory[variant],
            "kernels_mib": _kernel_bytes(models[variant]) / MEBIBYTE,
        }
        for variant in arguments.quantizer
    ]


def _quartiles(values: list[float]) -> list[float]:
    low, _, high = statistics.quantiles(values, n=4)
    return [low, high]


def _kernel_bytes(model: Any) -> int:
    from tern_keras.layers.base import QuantizedLayer

    layers = [layer for layer in model.layers if isinstance(layer, QuantizedLayer)]
    return sum(4 * spec.variable(layer).numpy().size for layer in layers for spec in layer.kernel_specs)


def child(backend: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure a backend in a process of its own."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(PROJECT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = [sys.executable, __file__, *sys.argv[1:], "--child", backend]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"The measurement on {backend} failed; its messages are above.")
    return json.loads(done.stdout.splitlines()[-1])


def show(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"A ternary train step beside the float one, batch {arguments.batch}", title_justify="left")
    for column in ("network", "backend", "quantizer"):
        table.add_column(column)
    for column in ("step", "quartiles", "float step", "first step", "float first", "memory", "kernels"):
        table.add_column(column, justify="right")
    for row in rows:
        memory = "" if row["memory_mib"] is None else f"{row['memory_mib'] - row['float_memory_mib']:+.2f} MiB"
        table.add_row(
            row["network"],
            row["backend"] + (", jit" if row["jit"] else ""),
            row["quantizer"],
            f"{row['step']:.3f}x",
            "{:.3f}-{:.3f}".format(*row["step_quartiles"]),
            f"{row['float_step_ms']:.1f} ms",
            f"{row['first_step']:.2f}x",
            f"{row['float_first_step_s']:.1f} s",
            memory,
            f"{row['kernels_mib']:.2f} MiB",
        )
    Console(width=140).print(table)


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quantizer", nargs="+", default=["twn", "ttq"], help="aliases; default: twn ttq")
    parser.add_argument("--batch", type=int, default=32, help="images a step; default: 32")
    parser.add_argument("--rounds", type=int, default=30, help="steps of each variant; default: 30")
    parser.add_argument("--compilations", type=int, default=3, help="first steps of each variant; default: 3")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one network, two images a step, few rounds")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"default: {RESULTS.relative_to(PROJECT)}")
    parser.add_argument("--child", choices=BACKENDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    networks, jits = NETWORKS, (True, False)
    if arguments.quick:
        arguments.batch, arguments.rounds, arguments.compilations = 2, 3, 1
        networks, jits = ("ds_cnn",), (True,)
    if arguments.child:
        rows = [row for name in networks for jit in jits for row in measure(arguments.child, name, jit, arguments)]
        print(json.dumps(rows))
        return
    rows = [row for backend in BACKENDS for row in child(backend, arguments)]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"batch": arguments.batch, "rows": rows}, indent=2) + "\n")
    show(rows, arguments)


if __name__ == "__main__":
    main()
