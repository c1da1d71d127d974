"""The delegate that runs packed `.tflite` files in LiteRT and TensorFlow Lite.

It is built from the C sources with this machine's compiler when it is first asked for, and kept in the user's cache.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tflite_export.cache import cache_folder
from tflite_export.errors import ExportError
from tflite_export.micro_sources import micro_dir
from tflite_export.toolchain import host_compiler, run
from tflite_export.version import version

_FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared", "-fvisibility=hidden")
_SOURCE_FOLDERS = ("src", "custom_ops", "delegate")
_LIBRARY = "tern_delegate.so"


def load_delegate() -> Any:
    """Load the delegate for the custom operators of files that are packed for the target "custom".

    Returns:
        A delegate of LiteRT's, to be listed in `experimental_delegates` of an `Interpreter`: LiteRT's or TensorFlow's.

    Raises:
        ExportError: if no C compiler is installed, or it refuses the sources.

    Example:
        >>> import keras, numpy as np
        >>> from ai_edge_litert.interpreter import Interpreter
        >>> from tern_keras.layers import QuantDense
        >>> from tflite_export import convert, load_delegate, pack
        >>> model = keras.Sequential([keras.Input((64,)), QuantDense(32, kernel_quantizer="twn")])
        >>> int8 = convert(model, np.random.default_rng(0).normal(size=(64, 64)).astype("float32"))
        >>> interpreter = Interpreter(model_content=pack(int8, "custom"), experimental_delegates=[load_delegate()])
        >>> interpreter.allocate_tensors()
        >>> interpreter.invoke()
        >>> interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).shape
        (1, 32)
    """
    from ai_edge_litert.interpreter import load_delegate as load

    return load(str(delegate_library()))


def delegate_library() -> Path:
    """The delegate's shared library, built unless the cache has it.

    The cache is `tern-keras` in `$XDG_CACHE_HOME` or in `~/.cache`; where that cannot be written, a temporary folder
    that is removed when Python ends.

    Returns:
        The path, for `tf.lite.experimental.load_delegate` or a program of your own.

    Raises:
        ExportError: if no C compiler is installed, or it refuses the sources.
    """
    compiler = host_compiler()
    folder = cache_folder() / _key(compiler)
    library = folder / _LIBRARY
    if library.is_file():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, suffix=".so")
    os.close(handle)
    try:
        _build(compiler, Path(name))
        # whoever is first and whoever is last, the library is whole at any time
        Path(name).replace(library)
    finally:
        Path(name).unlink(missing_ok=True)
    return library


def _build(compiler: Sequence[str], target: Path) -> None:
    micro = micro_dir()
    try:
        run([*compiler, *_FLAGS, f"-I{micro / 'include'}", *_sources(micro, ".c"), "-o", target])
    except ExportError as error:
        raise ExportError(f"the delegate of packed models could not be built: {error}") from error


def _sources(micro: Path, *suffixes: str) -> list[Path]:
    return sorted(
        path for name in (*_SOURCE_FOLDERS, "include") for path in (micro / name).iterdir() if path.suffix in suffixes
    )


@functools.cache
def _key(compiler: tuple[str, ...]) -> str:
    """A name for what the library depends on."""
    micro = micro_dir()
    digest = hashlib.sha256("\0".join([version(), *compiler, run([*compiler, "--version"]), *_FLAGS]).encode())
    for path in _sources(micro, ".c", ".h"):
        digest.update(f"\0{path.relative_to(micro).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:32]
