"""The frozen part of a model, identified by its content: equal for two loads of one file, and after any update."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from coreml_updatable.spec.messages import Model


class Part:
    """A frozen part. ``content``: the messages and texts that determine what it computes, requested only if needed.

    Most rows meet the part that made them, so no digest is computed; for a hundred megabytes, one takes about 0.2
    seconds.
    """

    def __init__(self, content: Callable[[], Iterable[Model | str | bytes]]) -> None:
        self._content = content
        self._digest = b""

    @property
    def digest(self) -> bytes:
        if not self._digest:
            hasher = hashlib.blake2b(digest_size=32)
            for piece in self._content():
                content = _bytes(piece)
                hasher.update(len(content).to_bytes(8, "little"))
                hasher.update(content)
            self._digest = hasher.digest()
        return self._digest

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Part) and self.digest == other.digest)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return _known, (self.digest,)


def _known(digest: bytes) -> Part:
    part = Part(lambda: ())
    part._digest = digest
    return part


def _bytes(piece: Model | str | bytes) -> bytes:
    if isinstance(piece, bytes):
        return piece
    content: bytes = piece.encode() if isinstance(piece, str) else piece.SerializeToString(deterministic=True)
    return content
