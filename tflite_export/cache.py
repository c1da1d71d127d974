"""Compiled files kept between runs, in the user's cache: what is compiled once serves every model and command."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tflite_export.errors import ExportError
from tflite_export.files import write_files

_OBJECTS = "objects"
_MOST_BYTES = 256 << 20


def cache_folder() -> Path:
    """The folder of compiled files.

    Returns:
        `tern-keras` in `$XDG_CACHE_HOME` or in `~/.cache`; where that cannot be written, a temporary folder that is
        removed when Python ends.
    """
    # an empty or relative path counts as none, as the XDG base directory specification says
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    folder = (configured if configured.is_absolute() else Path.home() / ".cache") / "tern-keras"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _temporary_folder()
    return folder if os.access(folder, os.W_OK) else _temporary_folder()


@functools.cache
def _temporary_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="tern-keras-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def compile_once(key: str, targets: Sequence[Path], compile_now: Callable[[], object]) -> None:
    """Compile, unless the cache has what comes of it.

    Args:
        key: A digest of all that the result depends on.
        targets: The files that compiling makes, told apart by their suffixes.
        compile_now: Makes them.

    Raises:
        ExportError: from `compile_now`.
    """
    folder = cache_folder() / _OBJECTS
    kept = [folder / f"{key}{target.suffix}" for target in targets]
    try:
        contents = [path.read_bytes() for path in kept]
        for path in kept:
            os.utime(path)  # the oldest go first
    except OSError:
        compile_now()
        _keep(folder, {path.name: target.read_bytes() for path, target in zip(kept, targets, strict=True)})
        return
    for target, content in zip(targets, contents, strict=True):
        target.write_bytes(content)


def _keep(folder: Path, files: dict[str, bytes]) -> None:
    try:
        write_files(folder, files)
    except ExportError:
        return  # a full disk, perhaps: the next time compiles again
    _make_room(folder)


@functools.cache  # once a process: a listing takes as long as compiling a file
def _make_room(folder: Path) -> None:
    """Delete the files not used for longest, until half of the space is left."""
    try:
        files = sorted((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in os.scandir(folder))
        excess = sum(size for _, size, _ in files) - _MOST_BYTES
        if excess <= 0:
            return
        excess += _MOST_BYTES // 2
        for _, size, path in files:
            if excess <= 0:
                break
            Path(path).unlink(missing_ok=True)
            excess -= size
    except OSError:
        pass  # another process makes room
