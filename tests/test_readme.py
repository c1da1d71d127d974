"""The README's code, run as a reader would."""

import re
import sys
from pathlib import Path

import pytest
from run_program import run_program

from tflite_export.toolchain import host_compiler

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def after_python(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which the README's Python ran, and what it printed."""
    folder = tmp_path_factory.mktemp("readme")
    (script,) = _blocks("python")
    (folder / "story.py").write_text(script + '\nternary.save("model.keras"); np.savez("samples.npz", x=x, y=y)\n')
    return folder, run_program(sys.executable, "story.py", cwd=folder)


def test_readme_python(after_python) -> None:
    _, output = after_python
    *_, equal, instructions = output.split()
    assert equal == "True"
    assert int(instructions) > 100_000


def test_readme_c(after_python) -> None:
    folder, _ = after_python
    (code,) = _blocks("c")
    (folder / "user.c").write_text(
        code + "\nint main(void) { static float image[16 * 16]; return classify(image) < 0; }\n"
    )
    model = folder / "build" / "my_model"
    sources = [folder / "user.c", model / "my_model.c", *(model / "tern").glob("*.c")]
    flags = ("-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{model}", f"-I{model / 'tern'}")
    run_program(*host_compiler(), *flags, *sources, "-o", folder / "user", cwd=folder)
    run_program(folder / "user", cwd=folder)


def test_readme_commands(after_python) -> None:
    folder, _ = after_python
    (block,) = (block for block in _blocks("sh") if block.startswith("tern-keras export"))
    for line in block.splitlines():
        words = line.replace("test.npz", "samples.npz").split()
        assert words[0] == "tern-keras"
        extra = ("--samples", "4", "--compiler", "zig", "--emulator", "unicorn") if words[1] == "run" else ()
        assert run_program(sys.executable, "-m", "tflite_export.cli", *words[1:], *extra, cwd=folder)


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    assert {"demo", "test", "lint", "bench"} <= named <= targets


def test_readme_has_no_figure_left_to_fill_in() -> None:
    assert not re.findall(r"@[A-Z]+@", README)
