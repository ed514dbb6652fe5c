"""Sound files as rows: rate, channels and length are made to fit, and what was done is said."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from coreml_updatable.data import sound
from coreml_updatable.data.dataset import load_dataset
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.data.sound import read_sound, read_wave
from coreml_updatable.data.wanted import Wanted
from coreml_updatable.errors import DataError

TARGET = ArrayInput("waveform", (8000,), sample_rate=16_000)


def tone(rate: int, seconds: float, frequency: float = 440.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate))


def test_what_fits_stays_as_it_is(tmp_path: Path) -> None:
    wave = tone(16_000, 0.5)
    soundfile.write(tmp_path / "a.flac", wave, 16_000, subtype="PCM_16")
    heard = read_sound(tmp_path / "a.flac", TARGET)
    assert heard.changes == ()
    np.testing.assert_allclose(heard.values, wave, atol=2 / 32768)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_another_rate_is_the_same_tone(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(rate, 0.5), rate, subtype="FLOAT")
    heard = read_sound(tmp_path / "a.wav", TARGET)
    assert heard.changes == (f"resampled from {rate:,} to 16,000 Hz",)
    np.testing.assert_allclose(heard.values[200:-200], tone(16_000, 0.5)[200:-200], atol=5e-3)


def test_two_channels_too_short_and_too_long(tmp_path: Path) -> None:
    stereo = np.stack([tone(16_000, 0.25), np.zeros(4000)], axis=1)
    soundfile.write(tmp_path / "short.wav", stereo, 16_000, subtype="FLOAT")
    heard = read_sound(tmp_path / "short.wav", TARGET)
    assert heard.changes == ("mixed to one channel", "padded with silence from 0.25 s")
    np.testing.assert_allclose(heard.values[:4000], tone(16_000, 0.25) / 2, atol=1e-6)
    assert not heard.values[4000:].any()
    long = np.arange(10_000) / 20_000 + 0.1
    soundfile.write(tmp_path / "long.wav", long, 16_000, subtype="FLOAT")
    heard = read_sound(tmp_path / "long.wav", TARGET)
    assert heard.changes == ("cut to its middle",)
    np.testing.assert_allclose(heard.values, long[1000:9000], atol=1e-6)


def test_what_is_no_sound(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(b"fLaC nothing")
    with pytest.raises(DataError, match=r"a\.flac: is damaged or not a readable sound"):
        read_sound(tmp_path / "a.flac", TARGET)
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 16_000)
    with pytest.raises(DataError, match=r"silent\.wav: is silent;"):
        read_sound(tmp_path / "silent.wav", TARGET)
    soundfile.write(tmp_path / "slow.wav", np.ones(100), 500)
    with pytest.raises(DataError, match=r"slow\.wav: .* 500 Hz, expected 1,000 to"):
        read_sound(tmp_path / "slow.wav", TARGET)


def test_sound_before_and_after_a_silent_middle_is_told_from_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.concatenate([tone(16_000, 1), np.zeros(16_000), tone(16_000, 1)]), 16_000)
    with pytest.raises(DataError, match=r"a\.wav: is silent in its middle"):
        read_sound(tmp_path / "a.wav", TARGET)
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    with pytest.raises(DataError, match=r"none\.wav: has 0 samples"):
        read_sound(tmp_path / "none.wav", TARGET)


@pytest.mark.parametrize("name", ["a.mp3", "a.wav"])
def test_an_mp3_is_read_whatever_its_name_is(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, tone(16_000, 0.5), 16_000, format="MP3")
    heard = read_sound(tmp_path / name, TARGET).values
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum.argmax() * 16_000 / len(heard) == pytest.approx(440, abs=3)


def test_without_soundfile_the_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(DataError, match=r"needs soundfile.*; run: .*pip install -e .*\[sound\]"):
        read_sound(tmp_path / "a.flac", TARGET)


def test_a_folder_says_what_was_done(tmp_path: Path) -> None:
    for kind, rate in (("low", 16_000), ("high", 8000)):
        (tmp_path / "clips" / kind).mkdir(parents=True)
        for index in range(5):
            wave = tone(rate, 0.3 if index == 4 else 0.5, 300 + 10 * index)
            soundfile.write(tmp_path / "clips" / kind / f"{index}.wav", wave, rate)
    (tmp_path / "clips" / "low" / "a.mp4").write_bytes(b"?")
    dataset = load_dataset(Wanted(TARGET, ("low", "high"), {}), folder=tmp_path / "clips")
    assert dataset.train.values.shape[1:] == (8000,)
    assert dataset.origin == (
        "10 files from the folder clips, of 2 kinds; 1 file left out; 2 padded with silence; "
        "5 resampled from 8,000 to 16,000 Hz."
    )
    assert dataset.unreadable == ("low/a.mp4: is neither a sound such as .flac or .wav nor .npy; convert it",)


def riff(path: Path, frames: int, rate: int = 48_000) -> None:
    """A WAV file of 8-bit silence, whose samples take no room on the disk."""
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8) + b"data" + struct.pack("<I", frames)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", len(head) + frames) + head)
        file.truncate(file.tell() + frames)


BOUND = """
import sys
from pathlib import Path
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.data.sound import read_sound, read_wave
from coreml_updatable.errors import DataError
from tests.memory import most_memory
import soundfile
before = most_memory()
try:
    read_sound(Path(sys.argv[1]), ArrayInput("waveform", (8000,), sample_rate=16_000))
except DataError as error:
    print(error)
print(most_memory() - before)
"""


def test_a_sound_of_a_sample_too_many_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """2^25 + 1 samples are 12 minutes at 48 kHz: the bound of frames alone refuses them."""
    path = tmp_path / "a.wav"
    riff(path, 2**25 + 1)
    assert soundfile.info(path).frames == 2**25 + 1
    command = [sys.executable, "-c", BOUND, str(path)]
    ran = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    said, memory = ran.stdout.splitlines()
    assert "33,554,433 samples" in said
    assert "at most 3600 s and 33,554,432 samples" in said
    assert int(memory) < 2**25


def test_the_bound_of_frames_is_the_most_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "MOST_FRAMES", 9000)
    riff(tmp_path / "most.wav", 9000, 16_000)
    riff(tmp_path / "more.wav", 9001, 16_000)
    assert read_wave(tmp_path / "most.wav", 16_000)[0].shape == (9000,)
    with pytest.raises(DataError, match="9,001 samples"):
        read_wave(tmp_path / "more.wav", 16_000)
