"""A process that draws: what to draw comes as JSON on standard input, the pixels go to standard output."""

import json
import os
import sys
from pathlib import Path

from coreml_updatable.data.drawn import draw_chunk
from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.data.sample_code import load_function
from coreml_updatable.errors import UserError


def main() -> int:
    """The exit status; 1 after one sentence on standard error."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as pixels:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever the sample's code prints is not a picture
        order = json.load(sys.stdin)
        target = ImageInput("image", order["width"], order["height"], order["color"])
        try:
            function = load_function(Path(order["folder"]), order["reference"], order["trusted"])
            for kind, start, stop in order["chunks"]:
                pixels.write(draw_chunk(function, order["reference"], (kind, start, stop), target).tobytes())
                pixels.flush()
        except UserError as error:
            print(" ".join(str(error).split()), file=sys.stderr, flush=True)
            return UserError.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
