"""The version that generated files carry."""

from importlib import metadata


def version() -> str:
    """The installed version of tern-keras, read without importing Keras."""
    try:
        return metadata.version("tern-keras")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "(not installed)"
