"""Reading files, and writing artefacts so that a failure leaves nothing half-written behind."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tflite_export.errors import ExportError


def read_file(path: Path) -> bytes:
    """The content of a file.

    Raises:
        ExportError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}") from error


def write_files(folder: Path, files: Mapping[str, bytes | str]) -> list[Path]:
    """Write several files, all of them or none.

    Every file goes to a temporary name first; only when all are on the disk they get their own names.

    Args:
        folder: made if it is missing.
        files: content by path relative to `folder`; text is written as UTF-8.

    Returns:
        The paths, in the order given.

    Raises:
        ExportError: if the folder cannot be made or written.
    """
    moves: list[tuple[Path, Path]] = []
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            moves.append((Path(temporary), path))
            with os.fdopen(handle, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
            Path(temporary).chmod(0o644)  # mkstemp's files are private; artefacts are not
        for _, target in moves:  # what would stop half-way is looked for before the first file is replaced
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        for source, target in moves:
            source.replace(target)
    except OSError as error:
        for source, _ in moves:
            source.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise ExportError(f"cannot write to {folder}: {reason}; choose another output folder") from error
    return [path for _, path in moves]
