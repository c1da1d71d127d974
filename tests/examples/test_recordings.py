import wave
from pathlib import Path

import numpy as np
import pytest
from spoken_digits.recordings import distort, in_a_second, load_archive, load_wavs, read_wav


def write_wav(path: Path, samples: np.ndarray, rate: int = 8000, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture
def waves() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    names = ("0_ann_0", "0_ann_7", "9_bob_4", "9_bob_12", "3_de_la_Cruz_5")
    return {name: rng.integers(-32768, 32768, 100 + 10 * i).astype(np.int16) for i, name in enumerate(names)}


def test_wav_files_are_read_and_split(waves, tmp_path: Path):
    for name, samples in waves.items():
        write_wav(tmp_path / f"{name}.wav", samples)
    (tmp_path / "readme.wav").write_bytes(b"not one of them")
    recordings = load_wavs(tmp_path)
    assert len(recordings) == 5
    for name, found, label, number in zip(
        sorted(waves), recordings.waves, recordings.labels, recordings.numbers, strict=True
    ):
        np.testing.assert_array_equal(found, waves[name])
        assert (f"{label}", f"{number}") == (name[0], name.split("_")[-1])
    train, test = recordings.split()
    assert sorted(train.numbers) == [5, 7, 12]
    assert sorted(test.numbers) == [0, 4]
    assert test.seconds().shape == (2, 8000)


def test_the_archive_holds_the_same(waves, tmp_path: Path):
    fields = [name.split("_") for name in waves]
    np.savez(
        tmp_path / "archive.npz",
        wave=np.concatenate(list(waves.values())),
        offset=np.cumsum([0, *map(len, waves.values())]),
        y=np.array([int(words[0]) for words in fields], np.uint8),
        speaker=np.array([words[1] for words in fields]),
        index=np.array([int(words[-1]) for words in fields], np.uint8),
    )
    recordings = load_archive(tmp_path / "archive.npz")
    for found, expected in zip(recordings.waves, waves.values(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert recordings.labels.tolist() == [0, 0, 9, 9, 3]
    assert recordings.numbers.tolist() == [0, 7, 4, 12, 5]


@pytest.mark.parametrize(("rate", "channels", "said"), [(16000, 1, "at 16000 Hz"), (8000, 2, "2 channel")])
def test_other_formats_are_named(tmp_path: Path, rate: int, channels: int, said: str):
    write_wav(tmp_path / "0_ann_0.wav", np.zeros(100), rate, channels)
    with pytest.raises(ValueError, match=said):
        read_wav(tmp_path / "0_ann_0.wav")


def test_an_empty_folder_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"holds no <digit>_<speaker>_<number>\.wav"):
        load_wavs(tmp_path)


class TestInASecond:
    def test_in_the_middle(self):
        second = in_a_second(np.arange(1, 101))
        assert np.flatnonzero(second).tolist() == list(range(3950, 4050))
        assert second.dtype == np.int16

    @pytest.mark.parametrize("shift", [-3950, 3950])
    def test_shifted_to_the_end(self, shift: int):
        second = in_a_second(np.arange(1, 101), shift)
        start = 0 if shift < 0 else 7900
        assert second[start : start + 100].tolist() == list(range(1, 101))

    def test_shifted_half_out(self):
        assert in_a_second(np.arange(1, 101), 4000)[-50:].tolist() == list(range(1, 51))
        assert in_a_second(np.arange(1, 101), -4000)[:50].tolist() == list(range(51, 101))
        assert not in_a_second(np.arange(1, 101), 9000).any()

    def test_a_longer_one_loses_both_ends(self):
        long = np.arange(10000)
        np.testing.assert_array_equal(in_a_second(long), long[1000:9000])


class TestDistort:
    WAVE = (20000 * np.sin(np.arange(3000) / 5)).astype(np.int16)

    def test_depends_on_the_generator_alone(self):
        first, again, other = (distort(self.WAVE, np.random.default_rng(seed)) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        assert first.shape == (8000,)
        assert first.dtype == np.int16

    def test_keeps_the_word_and_changes_level_place_and_length(self):
        rng = np.random.default_rng(3)
        drawn = [distort(self.WAVE, rng).astype(float) for _ in range(50)]
        loud = [np.flatnonzero(abs(second) > 1000) for second in drawn]
        starts, lengths = [at[0] for at in loud], [at[-1] - at[0] for at in loud]
        assert max(starts) - min(starts) > 800
        assert min(lengths) > 2500
        assert max(lengths) < 3600
        assert max(lengths) - min(lengths) > 400
        levels = [abs(second).max() for second in drawn]
        assert max(levels) <= 32768
        assert max(levels) / min(levels) > 3
        quiet = [np.std(second[-200:]) for second in drawn]
        assert min(quiet) < 5 < 50 < max(quiet)

    def test_does_not_wrap_at_full_scale(self):
        square = np.where(np.arange(3000) // 400 % 2, 32767, -32768).astype(np.int16)
        rng = np.random.default_rng(4)
        for _ in range(20):
            second = distort(square, rng)
            # where the word always is, the sign changes with the wave alone, whatever level and noise
            assert np.count_nonzero(np.diff(np.sign(second[3900:4100]))) <= 1
