"""Which pictures train, which decide when to stop, and which nobody sees before the end.

Each picture's place is decided by a hash of the seed, its kind and its name: the order of files, the platform and
numpy's version have no part in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from coreml_updatable.errors import DataError

FEWEST = 3  # pictures of a label: one to train, one to validate, one to test


@dataclass(frozen=True)
class Split:
    """Positions in the given order, rising; no position in two of them."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


def split(
    kinds: Sequence[str],
    names: Sequence[str],
    test_share: float,
    validation_share: float,
    seed: int,
    official: Sequence[bool | None] = (),
) -> Split:
    """Split each kind by itself, so that all have the same shares.

    From three pictures on, a kind has at least one in each part; with fewer, all train. ``official`` says of each
    picture whether its collection keeps it for testing (None: it says nothing).
    """
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for kind in sorted(set(kinds)):
        members = [position for position, its_kind in enumerate(kinds) if its_kind == kind]
        members.sort(key=lambda position: place_of(seed, kind, names[position]))
        if official and any(official[position] is not None for position in members):
            test = [position for position in members if official[position]]
            rest = [position for position in members if not official[position]]
            held_back = _share(len(rest), validation_share) if len(rest) > 1 else 0
        else:
            count = _share(len(members), test_share) if len(members) >= FEWEST else 0
            test, rest = members[:count], members[count:]
            held_back = min(_share(len(members), validation_share), len(rest) - 1) if count else 0
        parts[0].extend(rest[held_back:])
        parts[1].extend(rest[:held_back])
        parts[2].extend(test)
    return Split(*(tuple(sorted(part)) for part in parts))


def check_enough(labels: Sequence[str], kinds: Sequence[str], parts: Split, where: str) -> None:
    """A DataError unless each of ``labels`` has pictures in all three parts; ``kinds`` gives each picture's label."""
    for label in labels:
        for part in (parts.train, parts.validation, parts.test):
            if not any(kinds[position] == label for position in part):
                count = sum(kind == label for kind in kinds)
                raise DataError(
                    f"{where}: the label {label!r} has {count} usable pictures, at least {FEWEST} of one kind are "
                    "needed (to train, to validate, to test), and 50 or more are better; add pictures"
                )


def place_of(seed: int, kind: str, name: str) -> bytes:
    """Where a picture stands in the order of its kind: looks random, is always the same."""
    return sha256(f"{seed}\0{kind}\0{name}".encode("utf-8", "surrogatepass")).digest()


def _share(count: int, share: float) -> int:
    return max(1, min(round(count * share), count - 2))
