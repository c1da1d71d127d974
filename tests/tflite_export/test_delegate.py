"""The delegate's library: built once with this machine's compiler, and kept in the user's cache."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tflite_export import ExportError, delegate
from tflite_export.cache import cache_folder
from tflite_export.delegate import delegate_library, load_delegate
from tflite_export.micro_sources import micro_dir

PATH_SCRIPT = "from tflite_export.delegate import delegate_library; print(delegate_library(), flush=True)"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tern-keras"


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that makes a shell script the compiler."""

    def install(script: str) -> None:
        program = tmp_path / "compiler"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(delegate, "host_compiler", lambda: (str(program),))

    delegate._key.cache_clear()
    return install


def test_it_is_built_once(cache: Path) -> None:
    library = delegate_library()
    assert cache in library.parents
    built = library.stat()
    assert delegate_library() == library
    assert library.stat().st_mtime_ns == built.st_mtime_ns
    assert list(library.parent.iterdir()) == [library]


def test_processes_may_build_it_at_once(cache: Path) -> None:
    command = [sys.executable, "-c", PATH_SCRIPT]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate()[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    (path,) = paths
    assert [entry.name for entry in Path(path).parent.iterdir()] == [Path(path).name]


def test_where_the_cache_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a file where the folder should be stops even root
    (tmp_path / "file").touch()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "XDG_CACHE_HOME": str(tmp_path / "file"),
        "TMPDIR": str(tmp_path),
    }
    script = f"{PATH_SCRIPT}; assert delegate_library() == delegate_library() and delegate_library().is_file()"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert tmp_path in Path(done.stdout.strip()).parents
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"], "removed at exit"


@pytest.mark.parametrize("configured", ["", "relative/path"])
def test_the_cache_of_a_user_who_configured_none(
    configured: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", configured)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "tern-keras"


def test_another_compiler_builds_another_library(cache: Path, compiler: Callable[[str], None]) -> None:
    keys = []
    for version in ("1.0", "2.0"):
        compiler(f"echo {version}")
        delegate._key.cache_clear()
        keys.append(delegate._key(delegate.host_compiler()))
    assert keys[0] != keys[1]


def test_no_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("tflite_export.toolchain._zig", lambda: None)
    with pytest.raises(ExportError, match="install gcc or clang"):
        load_delegate()


def test_a_compiler_that_fails_leaves_nothing_behind(cache: Path, compiler: Callable[[str], None]) -> None:
    compiler('case "$1" in --version) echo 1;; *) echo "no space left" >&2; exit 1;; esac')
    with pytest.raises(ExportError, match=r"(?s)the delegate of packed models could not be built: .*no space left"):
        load_delegate()
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_the_library_exports_two_functions_and_needs_none_of_tflite(
    cache: Path, require_tool: Callable[..., None]
) -> None:
    require_tool("nm")

    def symbols(*flags: str) -> set[str]:
        done = subprocess.run(["nm", "-D", *flags, delegate_library()], capture_output=True, text=True, check=True)
        return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()}

    assert symbols("--defined-only") == {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"}
    assert not {name for name in symbols("--undefined-only") if "lite" in name.lower()}


def test_it_takes_no_options() -> None:
    from ai_edge_litert.interpreter import load_delegate as load

    with pytest.raises(ValueError, match="takes no options"):
        load(str(delegate_library()), {"threads": 2})


def test_every_source_is_built() -> None:
    sources = {path.parent.name for path in delegate._sources(micro_dir(), ".c")}
    assert sources == {"src", "custom_ops", "delegate"}
