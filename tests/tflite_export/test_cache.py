"""Object files in the user's cache: compiled once, and anew when anything they depend on differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tflite_export import ExportError, cache
from tflite_export.toolchain import Toolchain, host_toolchain


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tern-keras" / "objects"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "answer.h").write_text("#define ANSWER 42\n")
    (folder / "answer.c").write_text('#include "answer.h"\nint answer(void);\nint answer(void) { return ANSWER; }\n')
    return folder / "answer.c"


@pytest.fixture
def compile_source(source: Path, objects: Path) -> Callable[..., bytes]:
    toolchain = host_toolchain()

    def compile_source(*flags: str) -> bytes:
        target = source.with_suffix(".o")
        target.unlink(missing_ok=True)
        toolchain.compile(source, target, flags=("-O2", *flags))
        return target.read_bytes()

    return compile_source


def count(objects: Path) -> int:
    return len(list(objects.glob("*.o")))


def test_the_same_source_is_compiled_once(compile_source, objects: Path) -> None:
    first = compile_source()
    (kept,) = objects.iterdir()
    assert kept.read_bytes() == first
    kept.write_bytes(b"what was kept")  # taken from the cache, if the next call returns it
    assert compile_source() == b"what was kept"


def test_another_source_header_flag_or_compiler_is_compiled_anew(
    compile_source, source: Path, objects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_source()
    compile_source("-DOTHER")
    assert count(objects) == 2
    source.with_suffix(".h").write_text("#define ANSWER 43\n")
    assert compile_source() != b""
    assert count(objects) == 3
    source.write_text(source.read_text() + "int more;\n")
    compile_source()
    assert count(objects) == 4
    monkeypatch.setattr("tflite_export.toolchain._description", lambda command: "another version")
    compile_source()
    assert count(objects) == 5


def test_a_header_that_is_not_included_changes_nothing(compile_source, source: Path, objects: Path) -> None:
    compile_source()
    (source.parent / "another.h").write_text("int another;\n")
    compile_source()
    assert count(objects) == 1


def test_headers_of_headers_and_before_the_source_count(source: Path, objects: Path) -> None:
    toolchain, target, folder = host_toolchain(), source.with_suffix(".o"), source.parent / "include"
    folder.mkdir()
    before = folder / "before.h"
    source.with_suffix(".h").write_text("  #  include <deep.h>\n#define ANSWER DEEP\n")
    for number, (deep, first) in enumerate([(1, 1), (2, 1), (2, 2), (2, 2)]):
        (folder / "deep.h").write_text(f"#define DEEP {deep}\n")
        before.write_text(f"#define BEFORE {first}\n")
        toolchain.compile(source, target, [folder], before=[before])
        assert count(objects) == min(number + 1, 3)


def test_what_the_stack_needs_is_kept_with_the_object(
    source: Path, objects: Path, require_tool: Callable[..., None]
) -> None:
    require_tool("gcc")
    toolchain = Toolchain("gcc", ("gcc",), (), ())
    usage = source.with_suffix(".su")
    for _ in range(2):
        usage.unlink(missing_ok=True)
        toolchain.compile(source, source.with_suffix(".o"), flags=("-O2", "-fstack-usage"))
        assert "answer" in usage.read_text()
    assert sorted(path.suffix for path in objects.iterdir()) == [".o", ".su"]
    next(objects.glob("*.su")).unlink()  # half of an entry is none
    usage.unlink()
    toolchain.compile(source, source.with_suffix(".o"), flags=("-O2", "-fstack-usage"))
    assert "answer" in usage.read_text()


def test_a_source_that_does_not_compile_is_not_kept(compile_source, source: Path, objects: Path) -> None:
    source.write_text("int answer(void) { return }\n")
    for _ in range(2):
        with pytest.raises(ExportError, match="error"):
            compile_source()
    assert not objects.exists()


def test_where_nothing_can_be_kept(compile_source, objects: Path) -> None:
    objects.parent.mkdir(parents=True)
    objects.write_text("a file where the folder should be")
    assert compile_source() == compile_source() != b""


def test_the_files_not_used_for_longest_make_room(
    compile_source, objects: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache._make_room.cache_clear()
    compile_source("-DFIRST")
    (oldest,) = objects.iterdir()
    monkeypatch.setattr(cache, "_MOST_BYTES", int(1.5 * oldest.stat().st_size))
    cache._make_room.cache_clear()
    compile_source("-DSECOND")
    assert not oldest.exists()
    assert count(objects) <= 1
