"""From a waveform to YAMNet's log-mel patch, as layers that Core ML has: convolutions with the kernels of a Fourier
transform, a matrix, a logarithm.

16 kHz; windows of 25 ms (periodic Hann), a hop of 10 ms, 512 points, magnitudes; 64 triangles on the mel scale from
125 to 7,500 Hz; log(x + 0.001). 15,600 samples are 96 windows: a patch of 0.96 s.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

RATE, SAMPLES = 16_000, 15_600
WINDOW, HOP, POINTS = 400, 160, 512
FRAMES, BANDS = 96, 64
LOWEST, HIGHEST, OFFSET = 125.0, 7_500.0, 0.001
BINS = POINTS // 2 + 1
Floats = npt.NDArray[np.float64]


class LogMel(nn.Module):
    """Waveforms [n, 15600] -> patches [n, 1, 96, 64]; nothing in it is trained."""

    transform: Tensor
    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("transform", torch.from_numpy(fourier_kernels()).float()[:, None, None])
        self.register_buffer("mel", torch.from_numpy(mel_matrix()).float())

    def forward(self, waveforms: Tensor) -> Tensor:
        parts = torch.nn.functional.conv2d(waveforms[:, None, None], self.transform, stride=(1, HOP))
        real, imaginary = parts[:, :BINS, 0], parts[:, BINS:, 0]
        magnitudes = torch.sqrt(real * real + imaginary * imaginary).transpose(1, 2)
        patches: Tensor = torch.log(magnitudes @ self.mel + OFFSET)[:, None]
        return patches


def fourier_kernels() -> Floats:
    """float64 [2 * 257, 400]: the window times cosines, then times negative sines."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    angles = 2 * np.pi * np.outer(np.arange(BINS), np.arange(WINDOW)) / POINTS
    return np.asarray(np.concatenate([np.cos(angles), -np.sin(angles)]) * window)


def mel_matrix() -> Floats:
    """float64 [257, 64]: how much of each frequency a band hears; mel(f) = 1127 ln(1 + f / 700), the constant part in
    none."""
    edges = np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2)
    places = _mel(np.arange(BINS) * RATE / POINTS)[:, None]
    rising = (places - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - places) / (edges[2:] - edges[1:-1])
    matrix = np.maximum(0, np.minimum(rising, falling))
    matrix[0] = 0
    return np.asarray(matrix)


def _mel(frequency: float | Floats) -> Floats:
    return np.asarray(1127 * np.log1p(np.asarray(frequency) / 700))
