"""Where the C sources of the runtime lie."""

import functools
import re
from pathlib import Path

from tflite_export.errors import ExportError

# In the first column, as clang-format leaves it: the name of a function before its body. All that is not static begins
# with the library's prefix.
_DEFINITION = re.compile(r"^[A-Za-z_][^;{}()#]*?\b(tern_\w+)\s*\([^;{}]*\)\s*\{", re.MULTILINE)
_NAME = re.compile(r"\btern_\w+")


def micro_dir() -> Path:
    """Return the folder with `include/`, `src/` and `firmware/` of the C runtime.

    An installed package carries it as `tflite_export/micro`; in a checkout it is `micro`, beside the package.

    Raises:
        ExportError: The sources are in neither place.

    Example:
        >>> (micro_dir() / "include" / "tern.h").is_file()
        True
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "micro", package.parent / "micro"):
        if (folder / "include" / "tern.h").is_file():
            return folder
    raise ExportError(f"the C sources are missing from {package / 'micro'}: install tern-keras again")


def kernel_sources(source: str) -> list[Path]:
    """The files of the library that a C source needs, and those that these need.

    Args:
        source: the text of a generated model.

    Returns:
        Paths in `micro/src`, sorted.

    Example:
        >>> from tflite_export.micro_sources import kernel_sources
        >>> [path.name for path in kernel_sources("status = tern_add_ref(&op0, a, b, c);")]
        ['add_ref.c']
    """
    defined_in, names_in = _library(micro_dir() / "src")
    needed: set[Path] = set()
    pending = {defined_in[name] for name in _NAME.findall(source) if name in defined_in}
    while pending:
        path = pending.pop()
        needed.add(path)
        pending |= {defined_in[name] for name in names_in[path] if name in defined_in} - needed
    return sorted(needed)


@functools.cache
def _library(folder: Path) -> tuple[dict[str, Path], dict[Path, set[str]]]:
    """Which file defines a function, and which names of the library a file mentions."""
    texts = {path: path.read_text() for path in sorted(folder.glob("*.c"))}
    defined_in = {name: path for path, text in texts.items() for name in _DEFINITION.findall(text)}
    return defined_in, {path: set(_NAME.findall(text)) for path, text in texts.items()}
