"""An action as the report shows it: five of its frames over one another, the later the darker."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

SIZE, MARGIN = (140, 100), 8
PAPER = (250, 250, 248)
EARLY, LATE = np.array([208, 220, 230.0]), np.array([38, 92, 140.0])
SHOWN = 5


def show(frames: npt.NDArray[np.float32]) -> Image.Image:
    """The hand of [30, 3, 21] on its way, as large as fits."""
    places = np.stack([frames[:, 0], -frames[:, 1]], axis=2).astype(np.float64)
    corners = places.reshape(-1, 2)
    places = places - (corners.min(axis=0) + corners.max(axis=0)) / 2
    reach = np.abs(places) / (np.array(SIZE) / 2 - MARGIN)
    places = places / reach.max() + np.array(SIZE) / 2
    picture = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(picture)
    for step in range(SHOWN):
        share = step / (SHOWN - 1)
        red, green, blue = (round(value) for value in ((1 - share) * EARLY + share * LATE).tolist())
        hand = places[round(share * (len(places) - 1))]
        for finger in range(5):
            chain = [0, *range(1 + 4 * finger, 5 + 4 * finger)]
            pen.line([tuple(hand[joint].tolist()) for joint in chain], fill=(red, green, blue), width=2)
    return picture
