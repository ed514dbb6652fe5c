"""A pose as the report shows it: bones as lines, joints as dots."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

SIZE, MARGIN = (100, 100), 8
PAPER, BONE, DOT = (250, 250, 248), (38, 92, 140), (176, 58, 46)


def show(pose: npt.NDArray[np.float32]) -> Image.Image:
    """The hand of [1, 3, 21], as large as fits; a joint of little confidence is a small dot."""
    x, y, confidence = pose[0].astype(np.float64)
    places = np.stack([x, -y], axis=1)
    places = places - (places.min(axis=0) + places.max(axis=0)) / 2
    reach = np.abs(places) / (np.array(SIZE) / 2 - MARGIN)
    places = places / reach.max() + np.array(SIZE) / 2
    picture = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(picture)
    for finger in range(5):
        chain = [0, *range(1 + 4 * finger, 5 + 4 * finger)]
        pen.line([tuple(places[joint].tolist()) for joint in chain], fill=BONE, width=2)
    for (across, down), sure in zip(places.tolist(), confidence.tolist(), strict=True):
        radius = 1 + 1.5 * sure
        pen.ellipse((across - radius, down - radius, across + radius, down + radius), fill=DOT)
    return picture
