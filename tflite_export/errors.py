"""The exception of this package."""


class ExportError(ValueError):
    """Something that the user can put right: an input, an option, a missing tool.

    The message names what was wrong, what was expected and what to do.
    """
