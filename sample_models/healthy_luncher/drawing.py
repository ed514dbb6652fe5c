"""Pictures of meals as photographed from above, drawn by this program."""

from hashlib import sha256

import numpy as np
from PIL import Image

from .burger import draw_burger
from .fries import draw_fries
from .fruit import draw_fruit
from .light import photograph
from .pancakes import draw_pancakes
from .pizza import draw_pizza
from .salad import draw_salad
from .scene import open_scene
from .tables import lay_table

# How each kind is drawn, how far the camera leans (degrees), and how high the meal stands.
MEALS = {
    "salad": (draw_salad, (0.0, 48.0), 0.12),
    "burger": (draw_burger, (24.0, 58.0), 0.4),
    "fries": (draw_fries, (6.0, 50.0), 0.15),
    "fruit": (draw_fruit, (0.0, 48.0), 0.15),
    "pizza": (draw_pizza, (0.0, 52.0), 0.08),
    "pancakes": (draw_pancakes, (18.0, 56.0), 0.25),
}


def draw(kind: str, index: int, size: tuple[int, int]) -> Image.Image:
    """Picture ``number`` of ``kind``, RGB, ``size`` = (width, height) pixels.

    Nothing but the three arguments decides how it looks. A ValueError names the kinds there are.
    """
    if kind not in MEALS:
        raise ValueError(f"cannot draw {kind!r}, only {', '.join(MEALS)}")
    paint_meal, tilt, lift = MEALS[kind]
    seed = int.from_bytes(sha256(f"{kind} {index}".encode()).digest()[:16], "big")
    scene = open_scene(np.random.default_rng(seed), size, tilt, lift)
    lay_table(scene)
    paint_meal(scene)
    return photograph(scene)
