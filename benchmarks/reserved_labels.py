"""`python -m benchmarks.reserved_labels`: how spare labels of the drawn sample learn, and what is forgotten meanwhile.

Needs build/healthy_luncher, which `make updatable MODEL=healthy_luncher` makes. The owner's kind becomes a label of its
own: ``user0`` learns 1 to 10 pancakes in one update, as `mark --reserved` sets it up: learning rate 0.03, one picture a
step, ten epochs (chosen on another build of the sample and on other pictures, numbers 800 on). *Right* is
the share of 50 other pancakes that get ``user0``, *kept* the accuracy on 100 pictures of the old labels, both as means
over five choices of the pictures to learn. No picture was drawn for the build.
"""

from pathlib import Path

import numpy as np

from coreml_updatable.data.sample_code import load_function
from coreml_updatable.marking import mark
from coreml_updatable.marking.outputs import HIDDEN
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import read_model
from coreml_updatable.updating import UpdateTask

ROOT = Path(__file__).parents[1]
KINDS = {"salad": "healthy", "fruit": "healthy", "burger": "fast-food", "fries": "fast-food", "pizza": "fast-food"}
SETTINGS = UpdateSettings(
    SGD(DoubleParameter(0.03), Int64Parameter(1), DoubleParameter(0.0)), epochs=Int64Parameter(10), seed=1
)
FIRST, OLD, NEW, OTHERS = 500, 20, 60, 50  # numbers of pictures; the build draws those below 240


def main() -> None:
    draw = load_function(ROOT / "sample_models" / "healthy_luncher", "drawing.py:draw")
    model = read_model(ROOT / "build" / "healthy_luncher" / "HealthyLuncher.mlmodel")
    old = [(draw(kind, FIRST + n, (128, 128)), label) for kind, label in KINDS.items() for n in range(OLD)]
    new = [draw("pancakes", FIRST + n, (128, 128)) for n in range(NEW)]
    print("| share | photos | right | kept |\n| --- | --- | --- | --- |")
    for share in (HIDDEN, 0.001, 0.01, 0.05):
        spare = load(mark(model, SETTINGS, reserved=7, reserved_share=share))
        known = spare.frozen([{"image": picture} for picture, _ in old])
        pancakes = spare.frozen([{"image": picture} for picture in new])
        for photos in (1, 3, 5, 10):
            right, kept = [], []
            for seed in range(5):
                order = np.random.default_rng(seed).permutation(NEW)
                rows = [pancakes[n].with_features(label="user0") for n in order[:photos]]
                learned = UpdateTask(spare, rows).resume().model
                answers = learned.predict([pancakes[n] for n in order[NEW - OTHERS :]])
                right.append(np.mean([answer["label"] == "user0" for answer in answers]))
                pairs = zip(learned.predict(known), old, strict=True)
                kept.append(np.mean([answer["label"] == label for answer, (_, label) in pairs]))
            print(f"| {share:.0e} | {photos} | {np.mean(right):.0%} | {np.mean(kept):.1%} |")


if __name__ == "__main__":
    main()
