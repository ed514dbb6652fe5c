"""A salad: leaves heaped on a plate or in a bowl; tomato, cucumber, onion, and some croutons, cheese, olives or egg."""

import numpy as np

from .leaves import GREENS, leaf
from .plates import put_board, put_bowl, put_plate
from .scene import Color, Scene, varied
from .slices import Place, cherry_tomato, cucumber_slice, egg_half, olive, onion_ring, tomato_slice
from .solids import box


def draw_salad(scene: Scene) -> None:
    rng = scene.rng
    z = (put_plate, put_plate, put_plate, put_bowl, put_bowl, put_board)[int(rng.integers(6))](scene)
    reach = rng.uniform(0.62, 0.84)
    _leaves(scene, z, reach)
    toppings = (_tomato, _cherry, _cucumber, _onion, _crouton, _cheese, _olive, _egg)
    share = np.array([2, 2, 2.5, 1.5, 1.5, 1.2, 1, 0.6]) * rng.uniform(0, 1, 8) ** 2
    if share[:3].sum() < 0.4:
        share[int(rng.integers(3))] += 1.0
    count = int(rng.integers(10, 24))
    choice = rng.choice(8, count, p=share / share.sum())
    for topping in choice.tolist():
        toppings[topping](scene, _somewhere(scene, z, reach * 0.95))
    for _ in range(int(rng.integers(2, 6))):  # some leaves lie over the rest
        leaf(scene, _somewhere(scene, z, reach * 0.9), rng.uniform(0.13, 0.22), _green(scene))


def _leaves(scene: Scene, z: float, reach: float) -> None:
    rng = scene.rng
    count = int(rng.integers(19, 28))
    red = rng.random() < 0.3
    for index in range(count):
        angle, out = index * 2.4 + rng.normal(0, 0.3), reach * (1 - index / count) ** 0.5
        centre = (out * float(np.cos(angle)), out * float(np.sin(angle)), z + 0.02 + 0.2 * index / count)
        color = varied(rng, (112, 48, 66), 10) if red and rng.random() < 0.25 else _green(scene)
        leaf(scene, centre, rng.uniform(0.22, 0.36), color, rng.uniform(0.0, 0.12))


def _green(scene: Scene) -> Color:
    return varied(scene.rng, GREENS[int(scene.rng.integers(len(GREENS)))], 9)


def _somewhere(scene: Scene, z: float, reach: float) -> Place:
    """A place on the heap, which is highest in the middle."""
    angle, out = scene.rng.uniform(0, 2 * np.pi), float(scene.rng.uniform(0, 1)) ** 0.5
    return out * reach * float(np.cos(angle)), out * reach * float(np.sin(angle)), z + 0.1 + 0.16 * (1 - out)


def _tomato(scene: Scene, place: Place) -> None:
    tomato_slice(scene, place, scene.rng.uniform(0.14, 0.2))


def _cherry(scene: Scene, place: Place) -> None:
    cherry_tomato(scene, place, scene.rng.uniform(0.09, 0.13))


def _cucumber(scene: Scene, place: Place) -> None:
    cucumber_slice(scene, place, scene.rng.uniform(0.13, 0.18))


def _onion(scene: Scene, place: Place) -> None:
    onion_ring(scene, place, scene.rng.uniform(0.11, 0.2))


def _crouton(scene: Scene, place: Place) -> None:
    _cube(scene, place, varied(scene.rng, (198, 146, 82), 12), scene.rng.uniform(0.05, 0.075))


def _cheese(scene: Scene, place: Place) -> None:
    _cube(scene, place, varied(scene.rng, (238, 234, 222), 5), scene.rng.uniform(0.05, 0.08))


def _olive(scene: Scene, place: Place) -> None:
    olive(scene, place, scene.rng.uniform(0.06, 0.08))


def _egg(scene: Scene, place: Place) -> None:
    egg_half(scene, place, scene.rng.uniform(0.15, 0.19))


def _cube(scene: Scene, place: Place, color: Color, half: float) -> None:
    angle = scene.rng.uniform(0, np.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    axes = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, scene.rng.uniform(0.7, 1.0)]]) * half
    box(scene, np.array([place[0], place[1], place[2] + half]), axes, color, 0.1)
