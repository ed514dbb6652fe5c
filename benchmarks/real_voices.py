"""Real voices: the pretrained speaker encoder, network and k-NN of an owner who enrolls with a few clips of 3 s.

Run: python -m benchmarks.real_voices VOICES [--orders N] [--markdown docs/real-data.md]
VOICES holds LibriSpeech's folders ``librispeech_test-other/SPEAKER/*.flac`` and, for strangers,
``librispeech_train-clean-100/*.flac``, as the repository resemble-ai/Resemblyzer has them in audio_data.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import coreml_updatable as cu
from benchmarks.real import head_on_features, in_words, section_written
from coreml_updatable.building.models_stage import make_variants
from coreml_updatable.data.inputs import ArrayInput, Examples, Float32Array, Float64Array
from coreml_updatable.data.sample_code import load_function
from coreml_updatable.data.sound import read_wave
from coreml_updatable.recipes.file import parse_recipe
from coreml_updatable.runtime import load

SAMPLE = Path(__file__).parents[1] / "sample_models" / "speaker_id"
SPEAKERS, STRANGERS = "librispeech_test-other", "librispeech_train-clean-100"
RATE, SAMPLES = 16_000, 48_000
MOST_CLIPS, STRANGERS_CLIPS = 6, 2  # of one recording
OTHERS, LEARNED = 6, 6  # speakers that the base knows, and recordings of each that it learns
SHOTS = (1, 3, 5)


@dataclass(frozen=True)
class Clips:
    """Voices [n, 256] of clips of 3 s, who speaks, in which recording, and whether only as a stranger."""

    voices: Float32Array
    speakers: Any
    recordings: Any
    strange: Any


def read(folder: Path) -> Clips:
    """Cut every recording and run the encoder on each clip."""
    import torch

    network = load_function(SAMPLE, "pretrained.py:speaker_network")(2)
    voices, speakers, recordings, strange = list[Any](), list[str](), list[str](), list[bool]()
    paths = [*sorted((folder / SPEAKERS).rglob("*.flac")), *sorted((folder / STRANGERS).rglob("*.flac"))]
    if not paths:
        sys.exit(f"{folder}: holds no {SPEAKERS}; see the first lines of this module")
    for path in paths:
        is_strange = path.is_relative_to(folder / STRANGERS)
        wave, _ = read_wave(path, RATE)
        count = min(len(wave) // SAMPLES, STRANGERS_CLIPS if is_strange else MOST_CLIPS)
        if count == 0:
            continue
        with torch.no_grad():
            result = network.encoder(torch.from_numpy(wave[: count * SAMPLES].reshape(count, SAMPLES)))
        voices.append(result.numpy())
        speakers += [path.stem.partition("-")[0]] * count
        recordings += [path.stem] * count
        strange += [is_strange] * count
    return Clips(np.concatenate(voices), np.array(speakers), np.array(recordings), np.array(strange))


def equal_error_rate(same: Float64Array, other: Float64Array) -> float:
    """Where as many of ``same`` score too low as of ``other`` score too high."""
    from sklearn.metrics import roc_curve

    wrong, right, _ = roc_curve(np.repeat([1, 0], [len(same), len(other)]), np.concatenate([same, other]))
    place = int(np.argmin(np.abs(wrong - (1 - right))))
    return float((wrong[place] + 1 - right[place]) / 2)


def pairs(clips: Clips) -> tuple[Float64Array, Float64Array]:
    """The cosines of two clips of one speaker, and of two, of different recordings and strangers left out."""
    known = np.flatnonzero(~clips.strange)
    cosines = clips.voices[known].astype(np.float64) @ clips.voices[known].T
    first, second = np.triu_indices(len(known), 1)
    apart = clips.recordings[known][first] != clips.recordings[known][second]
    same = clips.speakers[known][first] == clips.speakers[known][second]
    return cosines[first, second][apart & same], cosines[first, second][apart & ~same]


def recipe() -> Any:
    """The sample's own, for voices in the place of waveforms."""
    import tomllib

    fields = tomllib.loads((SAMPLE / "pretrained.toml").read_text(encoding="utf-8"))
    fields["input"] = {"type": "float32", "name": "waveform", "shape": [256]}
    return parse_recipe({**fields, "extras": [], "weights": []}, "speaker_id")


def enroll(clips: Clips, owner: str, seed: int) -> Mapping[tuple[str, int], Mapping[str, float]]:
    """What network and k-NN answer before (0 shots) and after each number of ``SHOTS``, each in a recording of its own.

    The base knows another owner and ``OTHERS`` speakers. Its test clips and the owner's are of other recordings than
    those learned; strangers were never heard.
    """
    random = np.random.default_rng(seed)
    others = [str(item) for item in random.permutation(sorted(set(clips.speakers[~clips.strange]) - {owner}))]
    base = dict(zip(others[: 1 + OTHERS], ["me"] + ["others"] * OTHERS, strict=True))
    learned, tested = list[int](), list[int]()
    for speaker in base:
        own = [str(item) for item in random.permutation(sorted(set(clips.recordings[clips.speakers == speaker])))]
        for row in np.flatnonzero(clips.speakers == speaker):
            (learned if clips.recordings[row] in own[:LEARNED] else tested).append(int(row))
    own = [str(item) for item in random.permutation(sorted(set(clips.recordings[clips.speakers == owner])))]
    shots = [int(np.flatnonzero(clips.recordings == item)[0]) for item in own[: SHOTS[-1]]]
    held_out = np.flatnonzero(np.isin(clips.recordings, own[SHOTS[-1] :]))
    strangers = np.flatnonzero(clips.strange)

    def examples(rows: Sequence[int]) -> Examples:
        labels = [("me", "others").index(base[str(clips.speakers[row])]) for row in rows]
        kinds = tuple(str(clips.speakers[row]) for row in rows)
        return Examples(clips.voices[rows], np.array(labels, np.int64), tuple(map(str, rows)), kinds)

    tail = head_on_features(examples(learned), ("me", "others"), ArrayInput("waveform", (256,)), seed, by_kinds=True)
    result = make_variants(recipe(), tail.model, examples(learned), tail.samples_per_kind, neighbors=tail.neighbors)
    partners = random.permutation([row for row in learned if base[str(clips.speakers[row])] == "others"])
    output = {}
    for name, message in (("network", result.network), ("k-NN", result.knn)):
        for count in (0, *SHOTS):
            model = load(message)
            if count:
                paired = [(row, "me") for row in shots[:count]] + [(int(row), "others") for row in partners[:count]]
                rows = [{"waveform": clips.voices[row], "label": label} for row, label in paired]
                model = cu.UpdateTask(model, rows).resume().model
            asked = {"owner": held_out, "base": np.array(tested), "strangers": strangers}
            mine = {part: _mine(model, clips.voices[rows]) for part, rows in asked.items()}
            is_me = np.array([base[str(clips.speakers[row])] == "me" for row in tested])
            output[name, count] = {
                "owner": float((mine["owner"] > 0.5).mean()),
                "base": float(((mine["base"] > 0.5) == is_me).mean()),
                "strangers": float((mine["strangers"] > 0.5).mean()),
                "equal error rate": equal_error_rate(mine["owner"], mine["strangers"]),
            }
    return output


def _mine(model: Any, voices: Float32Array) -> Float64Array:
    """The probability of "me" of each voice."""
    answers = model.predict([{"waveform": voice} for voice in voices])
    return np.array([answer["labelProbabilities"].get("me", 0.0) for answer in answers])


def section(clips: Clips, orders: int) -> str:
    """The part of the page."""
    speakers = sorted(set(clips.speakers[~clips.strange]))
    same, other = pairs(clips)
    result = [enroll(clips, speaker, seed) for seed in range(orders) for speaker in speakers]
    strangers = len(set(clips.speakers[clips.strange]))
    lines = [
        "## Voices",
        "",
        f"Real voices: LibriSpeech (CC BY 4.0), clips of 3 s: {int((~clips.strange).sum())} of {len(speakers)} "
        f"speakers (test-other, 10 recordings each), and {int(clips.strange.sum())} of {strangers} "
        "strangers (train-clean-100). "
        "All of them read English aloud, so language does not identify a speaker. Each speaker's recordings come from "
        "one or two sessions: in all these figures, **speaker and microphone are confounded**, and a person who "
        "changes the phone or the room will be recognized less often.",
        "",
        "The encoder alone, by the cosine of two clips from different recordings, has an equal error rate of "
        f"{equal_error_rate(same, other):.1%} ({len(same):,} pairs of one speaker, {len(other):,} of two; the pairs "
        "share clips, so no interval is given).",
        "",
        f"`speaker_id/pretrained.toml`: the base knows another owner and {OTHERS} speakers. Each of the "
        f"{len(speakers)} speakers in turn is the new owner, in {orders} orders (seeds 0 to {orders - 1}); shots come "
        f"from different recordings, each paired with a clip of one of the others. Means over {len(result)} owners, ± "
        "the 95% interval "
        "of the mean (owners share strangers and other speakers, so they are not independent), in percent. *False "
        "accepts*: strangers' clips that are classified as \"me\". *Equal error rate*: the owner's held-out clips and "
        'those of the strangers, by the probability of "me" (which has only a few distinct values in a k-NN with one '
        "neighbor). The recipe's learning "
        "rate was chosen while looking at these speakers.",
        "",
        "| model | shots | owner | base accuracy | false accepts | equal error rate |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, count in result[0]:
        columns = (
            in_words([item[name, count][part] for item in result])
            for part in ("owner", "base", "strangers", "equal error rate")
        )
        lines.append(f"| {name} | {count} | {' | '.join(columns)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voices", type=Path)
    parser.add_argument("--orders", type=int, default=2)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    result = section(read(arguments.voices), arguments.orders)
    print(result)
    if arguments.markdown is not None:
        section_written(arguments.markdown, "voices", result)


if __name__ == "__main__":
    main()
