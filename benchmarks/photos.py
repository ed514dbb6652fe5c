"""From photos of 12 megapixels to answers, against a bare loop of Pillow and ONNX Runtime.

The photos are drawn, with noise as a camera's; EfficientNet-Lite0's weights are random.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.figure import Figure, peers_in_words
from benchmarks.forward import exported, session_of
from benchmarks.interleaved import interleaved, milliseconds, ratio
from benchmarks.networks import Network, efficientnet_lite0
from coreml_updatable.data.rows.features import features_of
from coreml_updatable.data.rows.reading import rows_of
from coreml_updatable.runtime import RunnableModel, load
from coreml_updatable.runtime.engine import fast

PHOTOS = 32
WIDTH, HEIGHT = 4000, 3000
BLOCK = 8
REPEATS = 5
BOUND = 1.3


def figures() -> Iterator[Figure]:
    before = torch.get_num_threads()
    network = efficientnet_lite0()
    model = load(network.model())
    try:
        with tempfile.TemporaryDirectory() as name:
            files = [_photo(Path(name) / f"{index}.jpg", index) for index in range(PHOTOS)]
            for threads in (1, 2):
                torch.set_num_threads(threads)
                yield _figure(network, model, files, threads)
    finally:
        torch.set_num_threads(before)


def _figure(network: Network, model: RunnableModel, files: list[Path], threads: int) -> Figure:
    session = session_of(exported(network, BLOCK), threads)

    def bare() -> None:
        for start in range(0, len(files), BLOCK):
            pictures = [_read(file) for file in files[start : start + BLOCK]]
            session.run(None, {"rows": network.as_tensor(pictures).numpy()})

    def ours() -> None:
        features = features_of(model.message)
        model.predict([row for file in files for _, row in rows_of(file, features)])

    while model.engine != fast.installed():
        ours()
    times = interleaved({"ours": ours, "Pillow and ONNX Runtime": bare}, REPEATS, threads=threads, budget=30)
    return Figure(
        f"{PHOTOS} photos of 12 megapixels through EfficientNet-Lite0, {threads} thread{'s' if threads > 1 else ''}",
        milliseconds(times["ours"]),
        f"{ratio(times['ours'], times['Pillow and ONNX Runtime']):.2f} times the loop; at most {BOUND}",
        peers_in_words(times),
        model.engine,
        times,
    )


def _photo(path: Path, seed: int) -> Path:
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (HEIGHT // 100, WIDTH // 100, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
    noise = random.integers(-6, 7, (HEIGHT, WIDTH, 1), dtype=np.int16)
    Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return path


def _read(path: Path) -> NDArray[Any]:
    """As anybody would write it: decoded at a fraction of the size, cropped to the middle, resized."""
    with Image.open(path) as image:
        image.draft("RGB", (448, 448))
        return np.asarray(ImageOps.fit(image.convert("RGB"), (224, 224), Image.Resampling.BILINEAR))
