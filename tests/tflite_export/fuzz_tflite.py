"""Exports thousands of damaged `.tflite` files: each must give an ExportError, or an artefact that is correct.

    python tests/tflite_export/fuzz_tflite.py --count 10000 --jobs 2
    python tests/tflite_export/fuzz_tflite.py --seed 1234             # one file again, with its traceback

Every file is read, inspected and exported in a worker process that may take 1 GB of memory and 10 seconds a file, and
may not die. Of the files that export, one in `--check` is compiled and compared with TFLite's reference kernels.
The files are random networks, and the models of the shared folder where there is one, damaged by `mutate_tflite`.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from artefact_check import ReferenceCheck
from mutate_tflite import mutate
from random_networks import random_network

from tflite_export import ExportError, ExportReport, export
from tflite_export.inspection import inspect

NETWORKS = 240
SECONDS = 10
MEMORY = 1 << 30
PROJECT = Path(__file__).resolve().parents[2]


@lru_cache
def shared_models() -> tuple[Path, ...]:
    """The team's models, if they are here."""
    folder = Path(os.environ.get("TERN_SHARED", PROJECT.parent / "shared"))
    return tuple(sorted((folder / "models").glob("*/*.tflite")))


def damaged(seed: int) -> tuple[str, bytes]:
    """What was damaged, and the damaged file."""
    models = shared_models()
    if models and seed % 3 == 0:
        path = models[seed // 3 % len(models)]
        return path.name, mutate(path.read_bytes(), seed)
    return f"random network {seed % NETWORKS}", mutate(random_network(seed % NETWORKS), seed)


def try_export(content: bytes, folder: Path) -> ExportReport | None:
    """Read, inspect and export a file; None where it is refused. What else is raised is a fault, warnings too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with suppress(ExportError):
            inspect(content).json()
        try:
            return export(content, folder)
        except ExportError:
            return None


# --- a worker, which reports a line a file


def _work(first: int, count: int, step: int, check: int) -> None:
    artefact_check = None
    exported = 0
    for seed in range(first, first + count * step, step):
        print(seed, "start", flush=True)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            model, content = damaged(seed)
            _limit_memory(MEMORY)
            signal.alarm(SECONDS)  # whose default is to end the process
            try:
                report = try_export(content, folder / "out")
                outcome, detail = ("refused", "") if report is None else ("exported", "")
            except Exception:
                report, outcome, detail = None, "VIOLATION", traceback.format_exc()
            signal.alarm(0)
            _limit_memory(None)  # of the compiler and the sanitizers
            if report is not None:
                exported += 1
                if check and exported % check == 0:
                    if artefact_check is None:
                        scratch = tempfile.mkdtemp(dir=os.environ["FUZZ_SCRATCH"])
                        artefact_check = ReferenceCheck(Path(scratch))
                    result, detail = artefact_check(report, seed)
                    outcome = "VIOLATION" if result == "VIOLATION" else f"exported, {result}"
        if outcome == "VIOLATION":
            detail = f"{model}: {detail}"
        print(seed, "done", outcome, detail.replace("\n", "\\n"), sep="\t", flush=True)


def _limit_memory(limit: int | None) -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard if limit is None else limit, hard))


# --- the parent


def _outcomes(first: int, count: int, step: int, check: int, scratch: str) -> Iterator[tuple[int, str, str]]:
    """Outcomes of a row of seeds; a worker that dies is replaced, and its file is a violation."""
    environment = {**os.environ, "FUZZ_SCRATCH": scratch, "OPENBLAS_NUM_THREADS": "1"}
    paths = [str(PROJECT), str(PROJECT / "tests"), str(Path(__file__).parent), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    end = first + count * step
    while first < end:
        words = [sys.executable, __file__, "--worker", first, (end - first) // step, step, "--check", check]
        with subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True, env=environment) as worker:
            assert worker.stdout is not None
            started = None
            for line in worker.stdout:
                if line.rstrip().endswith(" start"):
                    started = int(line.split()[0])
                elif "\tdone\t" in line:
                    seed, _, outcome, detail = line.rstrip("\n").split("\t", 3)
                    first = int(seed) + step
                    started = None
                    yield int(seed), outcome, detail.replace("\\n", "\n")
            worker.wait()
        if first >= end:
            return
        if started is None:
            raise SystemExit(f"a worker ended with {worker.returncode} before it began")
        code = worker.returncode
        why = f"took more than {SECONDS} s" if code == -signal.SIGALRM else f"the process ended with {code}"
        yield started, "VIOLATION", f"{damaged(started)[0]}: {why}"
        first = started + step


def fuzz(count: int, jobs: int, check: int, first: int = 0) -> tuple[Counter[str], list[str]]:
    """Export damaged files.

    Args:
        count: of files.
        jobs: worker processes.
        check: compare the C of every so many that export; 0: of none.
        first: the first seed.

    Returns:
        How many had which outcome, and the violations.
    """
    counts: Counter[str] = Counter()
    violations: list[str] = []

    def collect(job: int, scratch: str) -> None:
        for seed, outcome, detail in _outcomes(first + job, len(range(job, count, jobs)), jobs, check, scratch):
            counts[outcome] += 1
            if outcome == "VIOLATION":
                violations.append(f"--seed {seed}: {detail}")
                print(violations[-1], flush=True)

    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(collect, job, scratch) for job in range(jobs)]:
            done.result()
    return counts, violations


def _one(seed: int) -> None:
    model, content = damaged(seed)
    print(f"seed {seed}: {model}, {len(content)} bytes")
    with tempfile.TemporaryDirectory() as name:
        report = try_export(content, Path(name) / "out")
        if report is None:
            export(content, Path(name) / "out")  # for its message
        else:
            scratch = Path(name) / "scratch"
            scratch.mkdir()
            print("exported,", *ReferenceCheck(scratch)(report, seed))


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="damaged files (default: 10000)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--check", type=int, default=4, help="compare every so many that export (default: 4)")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this file alone")
    parser.add_argument("--worker", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        _work(*options.worker, options.check)
        return 0
    if options.seed is not None:
        _one(options.seed)
        return 0
    counts, violations = fuzz(options.count, options.jobs, options.check, options.first)
    for outcome, number in sorted(counts.items()):
        print(f"{number:7,} {outcome}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
