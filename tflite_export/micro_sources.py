"""Where the C sources of the runtime lie."""

from pathlib import Path

from tflite_export.errors import ExportError


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
