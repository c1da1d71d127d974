"""From the plain text of the docstrings to reStructuredText.

The docstrings are written to be read in an editor: formulas are indented, tables have bars, |w| is a magnitude and a
star multiplies or unpacks. Sphinx would read a quotation, line blocks, a substitution and emphasis.
"""

import re
from collections.abc import Iterator, Sequence

# the headings from which napoleon takes over
SECTIONS = (
    "Args",
    "Attributes",
    "Example",
    "Input shape",
    "Output shape",
    "Raises",
    "References",
    "Returns",
    "Yields",
)
# a line that is empty to reStructuredText, but not to napoleon
_NOTHING = "\\"
_CODE = re.compile(r"(`[^`]+`)")
_NAME = re.compile(r"`[A-Za-z_][\w.]*`")


def as_restructured_text(lines: Sequence[str], is_property: bool = False) -> list[str]:
    r"""Return the lines of a docstring with formulas as literal blocks, and bars and stars as they are.

    Args:
        lines: lines of a Google-style docstring, not indented.
        is_property: whether it describes a property.

    Returns:
        The same text as reStructuredText; the sections are left to napoleon.

    Example:
        >>> for line in as_restructured_text(["For |w| > 0:", "", "    q = |w|", "", "No more."]):
        ...     print(line)
        For \|w\| > 0:
        <BLANKLINE>
        .. code-block:: text
        <BLANKLINE>
            q = |w|
        <BLANKLINE>
        No more.
    """
    # napoleon takes what stands before a colon in a property's first line for a type
    return [_NOTHING, *_translate(lines)] if is_property else list(_translate(lines))


def _translate(lines: Sequence[str]) -> Iterator[str]:
    section = block = previous = ""
    for line in lines:
        if line and not line.startswith(" "):
            section = line.removesuffix(":") if line.removesuffix(":") in SECTIONS else ""
        if previous in ("Returns:", "Yields:"):
            # as above: the signature has the type
            yield f"    {_NOTHING}"
        started, block = block, _block(line, block, section, previous)
        if block == "fence" and started != "fence":
            margin, _, language = line.partition("```")
            yield from (f"{margin}.. code-block:: {language}", "")
        elif line.strip() == "```":
            block = ""
            yield ""
        else:
            if block in ("formula", "table") and block != started:
                yield from (".. code-block:: text", "")
            margin = "    " if block in ("fence", "table") else ""
            yield margin + line if block or section == "Example" else _escaped(line)
        previous = line


def _block(line: str, block: str, section: str, previous: str) -> str:
    """Return the kind of literal block that `line` is in, "" for none, given that of the line before."""
    if block == "fence" or line.lstrip().startswith("```"):
        return "fence"
    if line.startswith("|"):
        return "table"
    if line.startswith("    ") and not section and not previous:
        return "formula"
    return block if block == "formula" and (not line or line.startswith("    ")) else ""


def _escaped(line: str) -> str:
    """Return prose with its bars and stars escaped, and `code` that is no name as a literal."""
    parts = _CODE.split(line)
    parts[::2] = [re.sub(r"([|*])", r"\\\1", prose) for prose in parts[::2]]
    # Sphinx looks for what the code names, and takes the first dot of `.tflite` for its own
    parts[1::2] = [code if _NAME.fullmatch(code) else f"`{code}`" for code in parts[1::2]]
    return "".join(parts)
