"""Sounds of a home, made by this program; nothing was recorded."""

from hashlib import sha256

import numpy as np
import numpy.typing as npt

RATE = 16_000
Floats = npt.NDArray[np.float64]
Generator = np.random.Generator


def draw(kind: str, index: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Clip ``number`` of ``kind``: float32 of ``shape`` (one axis), 16 kHz. A ValueError names the kinds there are."""
    if kind not in MADE:
        raise ValueError(f"cannot make {kind!r}, only {', '.join(MADE)}")
    rng = np.random.default_rng(int.from_bytes(sha256(f"{kind} {index}".encode()).digest()[:16], "big"))
    time = np.arange(shape[0]) / RATE
    wave = MADE[kind](rng, time)
    wave = wave / max(float(np.abs(wave).max()), 1e-9) * 10 ** rng.uniform(-1.2, -0.1)
    room = _colored(rng, len(time), rng.uniform(0.5, 1.2)) * 10 ** rng.uniform(-3, -1.8)
    return (wave + room).astype(np.float32)


def _smoke_alarm(rng: Generator, time: Floats) -> Floats:
    """Beeps near 3 kHz, three or four a second."""
    pitch, beat, start = rng.uniform(2700, 3500), rng.uniform(2.5, 4.5), rng.uniform(0, 1)
    on = ((time * beat + start) % 1) < rng.uniform(0.45, 0.7)
    return np.asarray(np.sign(np.sin(2 * np.pi * pitch * time)) * on)


def _doorbell(rng: Generator, time: Floats) -> Floats:
    """Two chimes, the second a third lower, each fading."""
    high, first, gap = rng.uniform(550, 900), rng.uniform(0, 0.2), rng.uniform(0.3, 0.45)
    return _chime(time - first, high) + _chime(time - first - gap, high / rng.uniform(1.2, 1.3))


def _chime(time: Floats, pitch: float) -> Floats:
    after = np.maximum(time, 0)
    tones = sum(np.sin(2 * np.pi * pitch * ratio * after) / (1 + n) for n, ratio in enumerate((1.0, 2.76, 5.4)))
    return np.asarray(tones * np.exp(-5 * after) * (time >= 0))


def _knocking(rng: Generator, time: Floats) -> Floats:
    """Three to five knocks on wood."""
    wave = np.zeros_like(time)
    at, step = rng.uniform(0, 0.2), rng.uniform(0.13, 0.24)
    for _ in range(int(rng.integers(3, 6))):
        after = np.maximum(time - at, 0)
        body = np.sin(2 * np.pi * rng.uniform(140, 260) * after) + 0.4 * rng.normal(size=len(time))
        wave += body * np.exp(-60 * after) * (time >= at)
        at += step * rng.uniform(0.85, 1.15)
    return wave


def _fan(rng: Generator, time: Floats) -> Floats:
    """A hum and deep noise."""
    hum = np.sin(2 * np.pi * rng.uniform(90, 140) * time)
    return np.asarray(_colored(rng, len(time), rng.uniform(0.9, 1.4)) + rng.uniform(0.1, 0.6) * hum)


def _rain(rng: Generator, time: Floats) -> Floats:
    """Bright noise with drops."""
    drops = rng.normal(size=len(time)) * (rng.random(len(time)) < 0.004) * 6
    return np.asarray(_colored(rng, len(time), rng.uniform(0, 0.4)) + drops)


def _kettle(rng: Generator, time: Floats) -> Floats:
    """A whistle that rises and trembles, in steam."""
    start, rise = rng.uniform(1300, 2100), rng.uniform(100, 700)
    pitch = start + rise * time / time[-1] + 25 * np.sin(2 * np.pi * rng.uniform(5, 9) * time)
    whistle = np.sin(2 * np.pi * np.cumsum(pitch) / RATE)
    return np.asarray(whistle * (0.6 + 0.4 * time / time[-1]) + 0.35 * _colored(rng, len(time), 0.1))


def _colored(rng: Generator, count: int, slope: float) -> Floats:
    """Noise whose strength falls as frequency ** -slope, of spread 1."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    spectrum /= np.maximum(np.fft.rfftfreq(count, 1 / RATE), 30) ** slope
    wave = np.fft.irfft(spectrum, count)
    return np.asarray(wave / wave.std())


MADE = {
    "smoke_alarm": _smoke_alarm,
    "doorbell": _doorbell,
    "knocking": _knocking,
    "fan": _fan,
    "rain": _rain,
    "kettle": _kettle,
}
