"""Lettuce: single leaves with ribs and ruffled edges, and the ruffle that looks out of a burger."""

import numpy as np

from .scene import Color, Scene, fill, fill_each, mixed, shaded, tint, turned, varied

GREENS: tuple[Color, ...] = ((92, 146, 46), (126, 172, 62), (62, 116, 38), (158, 194, 88), (48, 96, 40))

FOLDS = 13
ALONG = np.linspace(0.0, 1.0, FOLDS)  # from the stalk to the tip
WIDTH = (ALONG * (1.06 - ALONG)) ** 0.55 * 1.9  # 0 at the stalk, widest behind the middle


def leaf(scene: Scene, centre: tuple[float, float, float], length: float, color: Color, lean: float = 0.05) -> None:
    """One leaf lying about ``centre``: folds light and dark, a pale rib, side veins."""
    rng = scene.rng
    width = length * rng.uniform(0.36, 0.6)
    angle = rng.uniform(0, 2 * np.pi)
    bend = rng.normal(0, 0.25) * length
    rib = np.stack([(ALONG - 0.5) * 2 * length, bend * (ALONG - 0.5) ** 2 * 4, ALONG * lean], axis=1)
    spine = turned(rib, angle) + centre
    zigzag = np.where(np.arange(FOLDS) % 2, 1.0, 0.84) + rng.normal(0, 0.07, FOLDS)
    light, dark = shaded(color, 1.16), shaded(color, 0.84)
    pale = mixed(color, (216, 226, 150), 0.55)
    for side in (-1.0, 1.0):
        out = side * width * WIDTH * zigzag
        edge = rib + np.stack([rng.normal(0, 0.06, FOLDS) * length, out, rng.uniform(0.0, 0.09, FOLDS)], axis=1)
        rim = turned(edge, angle) + centre
        quads = np.stack([spine[:-1], spine[1:], rim[1:], rim[:-1]], axis=1)
        fill_each(scene, quads, [light if (fold + (side > 0)) % 2 else dark for fold in range(FOLDS - 1)], 0.28)
    thick = np.zeros((FOLDS, 3))
    thick[:, 1] = 0.05 * length * (1.1 - ALONG)
    thick = turned(thick, angle)
    tint(scene, np.concatenate([spine - thick, (spine + thick)[::-1]]), pale, 0.3)


def ruffle(scene: Scene, centre: tuple[float, float, float], radius: float) -> None:
    """A round leaf whose edge waves up and down, as under the bun of a burger."""
    rng = scene.rng
    color = varied(rng, GREENS[int(rng.integers(len(GREENS) - 1))], 8)
    folds = 46
    angle = np.linspace(0, 2 * np.pi, folds, endpoint=False)
    out = radius * (1 + rng.normal(0, 0.035, folds))
    wave = np.where(np.arange(folds) % 2, 0.05, -0.05) + rng.normal(0, 0.02, folds)
    rim = np.stack([out * np.cos(angle), out * np.sin(angle), wave + 0.02], axis=1) + np.array(centre)
    inner = (rim - np.array(centre)) * [0.72, 0.72, 0] + np.array(centre) + [0, 0, 0.05]
    order = np.argsort(rim[:, 1])  # what is further away first
    following = (order + 1) % folds
    quads = np.stack([inner[order], inner[following], rim[following], rim[order]], axis=1)
    light, dark = shaded(mixed(color, (206, 222, 130), 0.5), 1.08), shaded(color, 0.8)
    fill_each(scene, quads, [light if fold % 2 else dark for fold in order.tolist()], 0.25)
    fill(scene, inner, color, 0.2)
