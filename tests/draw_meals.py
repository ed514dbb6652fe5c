"""Draw pictures for the documents' commands: `python tests/draw_meals.py FOLDER NUMBER FROM KIND[=FOLDER] ...`."""

import sys
from pathlib import Path

from coreml_updatable.data.sample_code import load_function

SAMPLE = Path(__file__).parents[1] / "sample_models" / "healthy_luncher"


def main(folder: str, number: str, start: str, *kinds: str) -> None:
    """``NUMBER`` pictures of each kind, 128 x 128, from the one of the number ``FROM`` on."""
    draw = load_function(SAMPLE, "drawing.py:draw")
    for named in kinds:
        kind, _, inside = named.partition("=")
        place = Path(folder) / (inside or kind)
        place.mkdir(parents=True, exist_ok=True)
        for index in range(int(start), int(start) + int(number)):
            draw(kind, index, (128, 128)).save(place / f"{kind}{index}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
