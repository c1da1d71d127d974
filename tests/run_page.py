"""Runs what a Markdown page shows, in the working directory: `python run_page.py PAGE.md`.

The Python blocks of a page share a namespace, in their order. A block of `>>>` lines must print what it shows. In
shell blocks the lines that start with `tern-keras` run.
"""

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str, int]]:
    """Return the language, the text and the first line's number (from 0) of each Python and shell block of a page."""
    text = page.read_text()
    return [(found[1], found[2], text.count("\n", 0, found.start(2))) for found in _BLOCK.finditer(text)]


def run_page(page: Path) -> None:
    """Run the blocks of a page; raise what they raise."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for language, text, line in blocks(page):
        if language == "sh":
            _run_commands(text)
        elif text.startswith(">>>"):
            _run_doctest(text, namespace, page, line)
        else:
            # blank lines in front: a traceback then names the page's line
            exec(compile("\n" * line + text, str(page), "exec"), namespace)


def _run_commands(text: str) -> None:
    for command in text.splitlines():
        words = shlex.split(command, comments=True)
        if words and words[0] == "tern-keras":
            subprocess.run([sys.executable, "-m", "tflite_export.cli", *words[1:]], check=True)


def _run_doctest(text: str, namespace: dict[str, Any], page: Path, line: int) -> None:
    test = doctest.DocTestParser().get_doctest(text, namespace, page.name, str(page), line)
    # without clear_globs=False the runner would empty the test's copy of the namespace
    failed, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, clear_globs=False)
    if failed:
        sys.exit(f"{page}: {failed} examples do not print what the page shows")
    namespace.update(test.globs)


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
