"""The speaker encoder of Resemblyzer (GE2E: Wan and others 2018) from the waveform on, as layers that Core ML has.

A clip of 3 s is three windows of 1.6 s, as ``VoiceEncoder.embed_utterance`` cuts it; an LSTM makes a voice of each, and
their mean is the clip's. The mel front end is librosa's: windows of 25 ms (periodic Hann) every 10 ms, centered on
their frame, squared magnitudes, 40 triangles of equal area on Slaney's mel scale from 0 to 8,000 Hz, no logarithm.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

RATE, SAMPLES = 16_000, 48_000
WINDOW, HOP, BANDS = 400, 160, 40
BINS = WINDOW // 2 + 1
PART, STARTS = 160, (0, 77, 154)  # frames of a window, and where each begins: 1.3 a second
FRAMES = STARTS[-1] + PART
SIZE, LAYERS = 256, 3
LOUDNESS = 10 ** (-30 / 20)  # -30 dBFS, which soft clips are raised to
Floats = npt.NDArray[np.float64]


class MelSpectrogram(nn.Module):
    """Waveforms [n, 48000] -> [n, 314, 40]; nothing in it is trained. Silence lies before and after a clip."""

    transform: Tensor
    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("transform", torch.from_numpy(fourier_kernels()).float()[:, None, None])
        self.register_buffer("mel", torch.from_numpy(mel_matrix()).float())

    def forward(self, waveforms: Tensor) -> Tensor:
        before = WINDOW // 2
        after = (FRAMES - 1) * HOP + WINDOW - before - SAMPLES
        padded = torch.nn.functional.pad(waveforms[:, None, None], (before, after))
        parts = torch.nn.functional.conv2d(padded, self.transform, stride=(1, HOP))
        real, imaginary = parts[:, :BINS, 0], parts[:, BINS:, 0]
        bands: Tensor = (real * real + imaginary * imaginary).transpose(1, 2) @ self.mel
        return bands


class VoiceEncoder(nn.Module):
    """Waveforms [n, 48000], 16 kHz, in -1..1 -> voices [n, 256] of length 1.

    Its tensors have the names of Resemblyzer's own file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.front_end = MelSpectrogram()
        self.lstm = nn.LSTM(BANDS, SIZE, LAYERS, batch_first=True)
        self.linear = nn.Linear(SIZE, SIZE)

    def forward(self, waveforms: Tensor) -> Tensor:
        bands = self.front_end(raised(waveforms))
        windows = torch.cat([bands[:, start : start + PART] for start in STARTS])  # all first ones, all second ones ...
        states, _ = self.lstm(windows)
        voices = unit(self.linear(states[:, -1]).relu()).chunk(len(STARTS))
        return unit((voices[0] + voices[1] + voices[2]) / len(STARTS))


def raised(waveforms: Tensor) -> Tensor:
    """Soft clips as loud as -30 dBFS; loud ones as they are.

    Measured in thousandths: Core ML adds 1e-6 to some divisors, which is much beside the size of a soft clip.
    """
    small = waveforms * 1000.0
    size = (small * small).mean(dim=1, keepdim=True).sqrt()
    return waveforms * (1000.0 * LOUDNESS / size.clamp(min=0.001)).clamp(min=1.0)


def unit(voices: Tensor) -> Tensor:
    return voices / ((voices * voices).sum(dim=1, keepdim=True) + 1e-12).sqrt()


def fourier_kernels() -> Floats:
    """float64 [2 * 201, 400]: the window times cosines, then times negative sines."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    angles = 2 * np.pi * np.outer(np.arange(BINS), np.arange(WINDOW)) / WINDOW
    return np.asarray(np.concatenate([np.cos(angles), -np.sin(angles)]) * window)


def mel_matrix() -> Floats:
    """float64 [201, 40]: how much of each frequency a band hears; each triangle has the area 1 over Hz."""
    edges = _frequency(np.linspace(0, _mel(RATE / 2), BANDS + 2))
    places = (np.arange(BINS) * RATE / WINDOW)[:, None]
    rising = (places - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - places) / (edges[2:] - edges[1:-1])
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2]))


# Slaney's Auditory Toolbox: 3 mel in 200 Hz up to 1,000 Hz, then 27 mel for a factor of 6.4.
LINEAR, STRAIGHT, STEP = 1000.0, 200 / 3, np.log(6.4) / 27


def _mel(frequency: float) -> float:
    return LINEAR / STRAIGHT + float(np.log(frequency / LINEAR)) / STEP if frequency >= LINEAR else frequency / STRAIGHT


def _frequency(mel: Floats) -> Floats:
    bend = LINEAR / STRAIGHT
    return np.asarray(np.where(mel < bend, mel * STRAIGHT, LINEAR * np.exp(STEP * (mel - bend))))
