"""What the meal lies on: plate, bowl, board or paper. Every kind of meal comes on plates, so none is told by them."""

import numpy as np

from .scene import Color, Points, Scene, fill, moved, outline, shaded, turned, varied
from .solids import Ring, between, solid

CERAMICS: tuple[Color, ...] = (
    (238, 236, 230),
    (244, 243, 240),
    (226, 220, 206),
    (92, 112, 130),
    (70, 72, 76),
    (170, 190, 184),
    (206, 168, 128),
)


def put_plate(scene: Scene) -> float:
    """A round plate; the height of its well."""
    color = varied(scene.rng, CERAMICS[int(scene.rng.integers(len(CERAMICS)))], 4)
    well = scene.rng.uniform(0.62, 0.78)
    rings: list[Ring] = [
        (0.9, 0.0, shaded(color, 0.55)),
        *between((0.98, 0.06, shaded(color, 0.85)), (1.0, 0.1, color), 3),
        *between((0.97, 0.1, color), (well + 0.03, 0.06, shaded(color, 0.97)), 6),
        *between((well, 0.045, shaded(color, 0.93)), (well - 0.05, 0.02, shaded(color, 0.98)), 4),
    ]
    if scene.rng.random() < 0.3:  # a painted band on the rim
        rings[4] = (rings[4][0], rings[4][1], varied(scene.rng, (90, 100, 130), 30))
    solid(scene, (0, 0, 0), outline(scene.rng, 64), rings, gloss=0.45)
    return 0.02


def put_bowl(scene: Scene) -> float:
    """A deep bowl; the height to which it is filled."""
    choices: tuple[Color, ...] = (*CERAMICS, (150, 104, 62), (176, 128, 80))
    color = varied(scene.rng, choices[int(scene.rng.integers(len(choices)))], 4)
    rings = [
        *between((0.5, 0.0, shaded(color, 0.5)), (1.0, 0.42, shaded(color, 0.9)), 10),
        (1.0, 0.44, color),
        *between((0.95, 0.44, shaded(color, 0.95)), (0.8, 0.2, shaded(color, 0.7)), 6),
    ]
    solid(scene, (0, 0, 0), outline(scene.rng, 64), rings, gloss=0.35)
    return 0.22


def put_board(scene: Scene) -> float:
    """A square board of wood or slate; the height of its top."""
    rng = scene.rng
    slate = rng.random() < 0.4
    color = varied(rng, (70, 72, 78) if slate else (178, 130, 82), 12)
    thickness = 0.04 if slate else 0.1
    corners = turned(_rectangle(rng.uniform(0.85, 1.05), rng.uniform(0.8, 0.95)), rng.uniform(0, np.pi))
    for rise, shade in ((0.0, 0.5), (0.5, 0.7), (0.8, 0.8), (1.0, 1.0)):
        fill(scene, moved(corners, 0, 0, thickness * rise), shaded(color, shade), 0.08)
    if not slate:
        for offset in np.linspace(-0.9, 0.9, 12):  # the grain
            start = corners[0] * (1 - offset) / 2 + corners[1] * (1 + offset) / 2
            end = corners[3] * (1 - offset) / 2 + corners[2] * (1 + offset) / 2
            across = (corners[1] - corners[0]) * rng.uniform(0.004, 0.012)
            line = np.array([start, end, end + across, start + across])
            fill(scene, moved(line, 0, 0, thickness), shaded(color, rng.uniform(0.82, 0.95)), 0.08)
    return thickness


def put_paper(scene: Scene) -> float:
    """A crumpled sheet of paper, plain or chequered; its height."""
    rng = scene.rng
    color = varied(rng, ((238, 232, 218), (206, 170, 122), (240, 240, 238))[int(rng.integers(3))], 5)
    angle = rng.uniform(0, np.pi)
    checks = rng.random() < 0.4
    ink = ((190, 50, 45), (60, 90, 140), (70, 120, 80))[int(rng.integers(3))] if checks else color
    cells = 8
    lines = np.linspace(-1, 1, cells + 1)
    across, down = np.meshgrid(lines * rng.uniform(0.9, 1.05), lines * rng.uniform(0.85, 1.0))
    knots: Points = np.stack([across, down, rng.uniform(0.0, 0.06, across.shape)], axis=2)
    knots[..., :2] += rng.normal(0, 0.018, (*across.shape, 2))
    knots = turned(knots.reshape(-1, 3), angle).reshape(cells + 1, cells + 1, 3)
    for row in range(cells):
        for column in range(cells):
            tone = color if (row + column) % 2 or not checks else ink
            quad = np.array(
                [knots[row, column], knots[row, column + 1], knots[row + 1, column + 1], knots[row + 1, column]]
            )
            lean = (quad[1, 2] + quad[2, 2] - quad[0, 2] - quad[3, 2]) * scene.sun[0]
            fill(scene, quad, shaded(tone, 1 - float(lean)), 0.05)
    return 0.05


def put_dish(scene: Scene) -> float:
    """Whatever a dry meal may lie on: mostly a plate. The height of its top."""
    return (put_plate, put_plate, put_plate, put_board, put_paper)[int(scene.rng.integers(5))](scene)


def _rectangle(half_width: float, half_depth: float) -> Points:
    signs = np.array([[1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [-1.0, -1.0, 0.0], [1.0, -1.0, 0.0]])
    return signs * [half_width, half_depth, 1.0]
