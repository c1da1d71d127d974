"""Tools and data that not every machine has.

A test that lacks them is skipped, but on a continuous integration server (environment variable CI) it fails: there
they are a promise.
"""

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

PROJECT = Path(__file__).resolve().parent.parent


def _lack(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{what}; CI must have it")
    pytest.skip(what)


@pytest.fixture(scope="session")
def require_tool() -> Callable[..., None]:
    """A function that skips the test unless all programs that it names are installed."""

    def require(*names: str) -> None:
        missing = [name for name in names if shutil.which(name) is None]
        if missing:
            _lack(f"not installed: {', '.join(missing)}")

    return require


@pytest.fixture(scope="session")
def require_module() -> Callable[..., None]:
    """A function that skips the test unless all packages that it names are installed; it imports none of them."""

    def require(*names: str) -> None:
        missing = [name for name in names if importlib.util.find_spec(name) is None]
        if missing:
            _lack(f"not installed: {', '.join(missing)}")

    return require


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The team's data and models: the folder TERN_SHARED, or `shared` beside the project."""
    folder = Path(os.environ.get("TERN_SHARED", PROJECT.parent / "shared"))
    if not folder.is_dir():
        _lack(f"no shared data at {folder}; set TERN_SHARED")
    return folder


@pytest.fixture(scope="session")
def require_board(require_tool: Callable[..., None]) -> Callable[[str], None]:
    """A function that skips the test unless the GCC and the QEMU for a board of this name are installed."""
    from tflite_export.boards import get_board  # not for tests of training, which need none of that package

    def require(name: str) -> None:
        board = get_board(name)
        require_tool(board.core.gcc[0], board.qemu)

    return require
