"""The features' C: against float64, on the hardest sounds, and what it needs."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import front_end_reference as reference
import numpy as np
import pytest
from spoken_digits import mfcc_tables
from spoken_digits.front_end import FRAME_SAMPLES, HOP_SAMPLES, SOURCES, FrontEnd, Normalisation, frames_in
from spoken_digits.recordings import load_archive

from tflite_export.boards import CORES
from tflite_export.toolchain import find_toolchain, host_compiler

HERE = Path(__file__).parent
WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Werror")
SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FRACTION = 2.0 ** mfcc_tables.constants()["FRACTION_BITS"]
SAMPLES = 2000


def run(*command: object, **options: Any) -> str:
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, f"{command[0]} failed:\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def front_end() -> FrontEnd:
    return FrontEnd()


@pytest.fixture(scope="module")
def transform(tmp_path_factory: pytest.TempPathFactory) -> Callable[[np.ndarray], np.ndarray]:
    """`real_fft` as NumPy's rfft: from 256 integers to 129 complex numbers."""
    library = tmp_path_factory.mktemp("fft") / "fft.so"
    run(*host_compiler(), "-std=c99", "-O2", "-fPIC", "-shared", *SOURCES, "-o", library)
    real_fft = ctypes.CDLL(str(library)).real_fft

    def call(x: np.ndarray) -> np.ndarray:
        data = np.array(x, np.int32)
        real_fft(data.ctypes.data_as(ctypes.c_void_p))
        pairs = data.reshape(-1, 2) @ [1, 1j]
        return np.concatenate([data[:1], pairs[1:], data[1:2]])

    return call


def sounds() -> dict[str, np.ndarray]:
    """int16 sounds of SAMPLES samples."""
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLES) / reference.RATE
    speech_like = rng.normal(size=SAMPLES).cumsum()
    made = {
        "loud noise": rng.normal(scale=10000, size=SAMPLES),
        "quiet noise": rng.normal(scale=20, size=SAMPLES),
        "very quiet noise": rng.normal(scale=3, size=SAMPLES),
        "chirp": 20000 * np.sin(2 * np.pi * (200 + 4000 * time) * time),
        "chirp in noise": 5000 * np.sin(2 * np.pi * (100 + 1500 * time) * time) + rng.normal(scale=30, size=SAMPLES),
        "low tones": 30000 * np.sin(2 * np.pi * 90 * time),
        "drift": 1500 * (speech_like - speech_like.mean()),
        "word between silences": np.where(abs(time - 0.12) < 0.05, rng.normal(scale=3000, size=SAMPLES), 0),
        "square wave": np.where(np.arange(SAMPLES) // 9 % 2, 32767, -32768),
        "highest frequency": np.where(np.arange(SAMPLES) % 2, 32767, -32768),
        "most negative": np.full(SAMPLES, -32768),
        "impulse": np.where(np.arange(SAMPLES) == 700, -32768, 0),
        "one bit": np.where(np.arange(SAMPLES) == 700, 1, 0),
        "silence": np.zeros(SAMPLES),
    }
    return {name: np.clip(np.round(x), -32768, 32767).astype(np.int16) for name, x in made.items()}


SOUNDS = sounds()
# What lies 90 dB below the loudest frequency drowns in the spectrum's 15 bits: here, what the window lets through of
# a tone far away.
PURE = {"chirp", "low tones", "square wave", "highest frequency", "most negative"}


class TestTransform:
    @pytest.mark.parametrize("bits", [22, 16, 8])
    def test_noise_is_exact_to_half_a_bit_a_stage(self, transform, bits: int):
        rng = np.random.default_rng(bits)
        for _ in range(20):
            x = rng.integers(-(2**bits), 2**bits + 1, 256)
            exact = np.fft.rfft(x)
            error = transform(x) - exact
            snr = 10 * np.log10((abs(exact) ** 2).sum() / (abs(error) ** 2).sum())
            assert snr > 6.02 * bits - 7, snr
        assert bits != 22 or snr > 125

    @pytest.mark.parametrize("frequency", [0, 1, 5, 31, 32, 33, 63, 64, 65, 100, 127, 128])
    def test_tones_come_out_where_they_are(self, transform, frequency: int):
        for phase in (0.0, 1.0):
            wave = np.cos(2 * np.pi * frequency * np.arange(256) / 256 + phase)
            x = np.round(2**22 * wave).astype(int)
            assert abs(transform(x) - np.fft.rfft(x)).max() < 600  # of up to 2^30

    @pytest.mark.parametrize("position", [0, 1, 2, 127, 128, 255])
    def test_impulses_turn(self, transform, position: int):
        x = np.zeros(256, int)
        x[position] = -(2**22)
        assert abs(transform(x) - np.fft.rfft(x)).max() < 16  # a stage rounds down, by up to 2

    def test_largest_inputs_stay_within_32_bits(self, transform):
        rng = np.random.default_rng(1)
        signs = [np.ones(256), -np.ones(256), *(1 - 2 * (np.arange(256) >> shift & 1) for shift in range(8))]
        signs += [rng.choice([-1, 1], 256) for _ in range(200)]
        signs += [np.where(np.cos(2 * np.pi * k * np.arange(256) / 256 + 0.1) > 0, 1, -1) for k in range(129)]
        for sign in signs:
            x = (2**22 * sign).astype(int)
            assert abs(transform(x) - np.fft.rfft(x)).max() < 2000


class TestCepstra:
    @pytest.mark.parametrize("name", [name for name in SOUNDS if name not in PURE])
    def test_equal_those_in_float(self, front_end: FrontEnd, name: str):
        (found,) = front_end.cepstra(SOUNDS[name][None]) / FRACTION
        expected = reference.cepstra(SOUNDS[name])
        assert found.shape == expected.shape == (frames_in(SAMPLES), 10)
        # a level is rounded to 2^-8, a coefficient adds up 32 of them with weights whose squares sum to 1; beside a
        # tone, noise of 60 dB less has 5 bits
        assert abs(found - expected).max() < (0.1 if name == "chirp in noise" else 0.04)
        assert (found - expected).std() < (0.02 if name == "chirp in noise" else 0.006)

    @pytest.mark.parametrize("name", sorted(PURE))
    def test_of_pure_tones_are_right_where_there_is_sound(self, front_end: FrontEnd, name: str):
        (found,) = front_end.cepstra(SOUNDS[name][None]) / FRACTION
        expected = reference.cepstra(SOUNDS[name])
        assert abs(found - expected).max() < 1.5
        assert abs(expected).max() > 20 or abs(found - expected).max() < 0.04

    @pytest.mark.shared
    def test_of_real_speech_equal_those_in_float(self, front_end: FrontEnd, shared_dir: Path):
        _, test = load_archive(shared_dir / "data" / "fsdd_8khz.npz").split()
        audio = test.seconds()
        errors = front_end.cepstra(audio) / FRACTION - np.stack([reference.cepstra(second) for second in audio])
        assert abs(errors).max() < 0.04
        assert np.sqrt((errors**2).mean((0, 1)).max()) < 0.0035

    def test_silence_is_zero(self, front_end: FrontEnd):
        assert not front_end.cepstra(SOUNDS["silence"][None]).any()

    def test_a_direct_current_is_silent(self, front_end: FrontEnd):
        # its spectrum is outside the bands, but for what the window lets through
        found = front_end.cepstra(np.full((1, 256), 300, np.int16))
        assert not found.any()

    def test_level_and_shape_are_apart(self, front_end: FrontEnd):
        noise = np.random.default_rng(2).normal(scale=1000, size=(1, SAMPLES)).round().astype(np.int16)
        louder = front_end.cepstra(8 * noise) - front_end.cepstra(noise)
        # log2(8^2) in all 32 bands
        np.testing.assert_allclose(louder[..., 0] / FRACTION, 6 * np.sqrt(32), atol=0.01)
        np.testing.assert_allclose(louder[..., 1:] / FRACTION, 0, atol=0.01)

    def test_frames_start_every_hop(self, front_end: FrontEnd):
        sound = SOUNDS["chirp in noise"]
        (whole,) = front_end.cepstra(sound[None])
        (third,) = front_end.cepstra(sound[None, 2 * HOP_SAMPLES : 2 * HOP_SAMPLES + FRAME_SAMPLES])
        np.testing.assert_array_equal(third[0], whole[2])


class TestFeatures:
    def test_are_normalised_rounded_and_saturated(self, front_end: FrontEnd):
        audio = np.stack(list(SOUNDS.values()))
        cepstra = front_end.cepstra(audio)
        fitting = Normalisation.of(cepstra)
        normalisation = Normalisation(fitting.mean, tuple(2 * gain for gain in fitting.gain))
        mean, gain = (np.array(values, np.int64) for values in (normalisation.mean, normalisation.gain))
        exact = (cepstra - mean) * gain
        expected = np.clip((exact + 2**31) >> 32, -128, 127)
        found = front_end.features(audio, normalisation)
        np.testing.assert_array_equal(found, expected)
        assert (found.min(), found.max()) == (-128, 127)
        inside = abs(found.astype(int)) < 127
        np.testing.assert_allclose(found[inside], (exact / 2**32)[inside], atol=0.5)

    def test_have_a_deviation_of_32(self, front_end: FrontEnd):
        audio = np.random.default_rng(3).normal(scale=2000, size=(20, SAMPLES)).astype(np.int16)
        found = front_end.features(audio, Normalisation.of(front_end.cepstra(audio)))
        np.testing.assert_allclose(found.mean((0, 1)), 0, atol=0.5)
        np.testing.assert_allclose(found.std((0, 1)), 32, rtol=0.05)

    def test_do_not_depend_on_what_was_there_before(self, front_end: FrontEnd):
        audio = np.stack(list(SOUNDS.values()))
        normalisation = Normalisation.of(front_end.cepstra(audio))
        first = front_end.features(audio, normalisation)
        for content in (0, -1, 12345):
            front_end._scratch[:] = content
            np.testing.assert_array_equal(front_end.features(audio[::-1], normalisation)[::-1], first)

    def test_the_normalisation_of_constant_features_is_finite(self):
        normalisation = Normalisation.of(np.zeros((2, 3, 10), np.int32))
        assert all(0 < gain < 2**31 for gain in normalisation.gain)

    def test_the_written_normalisation_is_c(self, tmp_path: Path):
        normalisation = Normalisation(tuple(range(-5, 5)), tuple(range(10)))
        (tmp_path / "normalisation.c").write_text(normalisation.source())
        library = tmp_path / "normalisation.so"
        flags = (*WARNINGS, "-shared", "-fPIC", f"-iquote{mfcc_tables.FIRMWARE}")
        run(*host_compiler(), *flags, tmp_path / "normalisation.c", "-o", library)
        values = (ctypes.c_int32 * 20).in_dll(ctypes.CDLL(str(library)), "normalisation")
        assert tuple(values) == normalisation.mean + normalisation.gain


def test_tables_are_what_the_program_writes():
    assert (mfcc_tables.FIRMWARE / "mfcc_tables.c").read_text() == mfcc_tables.source()


def test_triangles_are_those_of_the_reference():
    expected = reference.filterbank()
    constants = mfcc_tables.constants()
    found = np.zeros((constants["BANDS"] + 2, FRAME_SAMPLES // 2 + 1))
    frequencies = mfcc_tables.frequencies(constants["SAMPLE_RATE"], FRAME_SAMPLES, constants["BANDS"])
    for frequency, (band, rising) in frequencies.items():
        found[band, frequency] = 1 - rising / 2**15
        found[band + 1, frequency] = rising / 2**15
    np.testing.assert_allclose(found[1:-1], expected, atol=1e-4)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_extreme_audio_under_sanitizers(compiler: str, tmp_path: Path, require_tool: Callable[..., None]):
    require_tool(compiler)
    program = tmp_path / "extreme"
    include = f"-I{mfcc_tables.FIRMWARE}"
    run(compiler, *WARNINGS, *SANITIZE, include, *SOURCES, HERE / "extreme_audio.c", "-o", program)
    assert run(program) == "done\n"


@pytest.mark.parametrize("optimisation", ["-O0", "-Os", "-O3"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_warnings(compiler: str, optimisation: str, tmp_path: Path, require_tool: Callable[..., None]):
    require_tool(compiler)
    for source in SOURCES:
        run(compiler, *WARNINGS, optimisation, "-c", source, "-o", tmp_path / "source.o")


def test_optimisation_changes_no_feature(front_end: FrontEnd, tmp_path: Path):
    audio = np.stack(list(SOUNDS.values()))
    expected = front_end.cepstra(audio)
    for flag in ("-O0", "-O3"):
        library = tmp_path / f"mfcc{flag}.so"
        run(*host_compiler(), "-std=c99", flag, "-fPIC", "-shared", *SOURCES, "-o", library)
        other = FrontEnd()
        other._library = ctypes.CDLL(str(library))
        np.testing.assert_array_equal(other.cepstra(audio), expected)


def test_needs_no_float_no_heap_and_no_variables(tmp_path: Path, require_tool: Callable[..., None]):
    require_tool("arm-none-eabi-nm")
    toolchain = find_toolchain(CORES["cortex-m0"])  # without floating point, every operation is a call
    needed, defined = set(), {}
    for source in SOURCES:
        toolchain.compile(source, tmp_path / f"{source.stem}.o")
        for line in run("arm-none-eabi-nm", tmp_path / f"{source.stem}.o").splitlines():
            *_, kind, name = line.split()
            if kind == "U":
                needed.add(name)
            elif not name.startswith("$"):
                defined[name] = kind
    assert needed - set(defined) <= {
        "__aeabi_lmul",
        "__aeabi_llsl",
        "__aeabi_llsr",
        "__aeabi_uidiv",
        "__aeabi_idiv",
    } | {
        "memset",
        "memcpy",
    }
    assert set(defined.values()) <= set("TtRr")
    assert all(re.match("mfcc_|real_fft", name) for name, kind in defined.items() if kind in "TR")
