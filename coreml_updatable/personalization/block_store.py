"""Blocks of owners kept as files as they come, so that a run can be taken up again."""

import hashlib
import io
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from coreml_updatable.errors import BuildError
from coreml_updatable.files import write_atomically
from coreml_updatable.personalization.blocks import BlockResult
from coreml_updatable.personalization.laboratory import Lab


def expect_folder(folder: Path) -> None:
    """BuildError where blocks cannot be written into ``folder``, which stays missing if it is."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BuildError(f"{folder}: cannot be written to ({error.strerror}); choose another -o") from None
    finally:
        with suppress(OSError):  # somebody else put a file there
            for place in missing:
                place.rmdir()


class BlockStore:
    """Blocks as files of arrays; ``key``: a digest of all that they are functions of."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self._folder, self._key = folder, _key_of(lab)

    def _path(self, first: int, count: int) -> Path:
        return self._folder / f"owners-{self._key}-{first:08d}-{count}.npz"

    def write(self, block: BlockResult) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, **{**vars(block), "sorts": np.array(block.sorts, np.str_)})
        path = self._path(block.first, len(block.sorts))
        try:
            write_atomically(path, buffer.getvalue())
        except OSError as error:
            raise BuildError(
                f"{path}: cannot be written ({error.strerror}); the owners before it are kept: free some space, and go "
                "on with --resume"
            ) from None

    def read(self, first: int, count: int) -> BlockResult | None:
        path = self._path(first, count)
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as result:
                return BlockResult(**{**result, "first": first, "sorts": tuple(result["sorts"].tolist())})
        except (OSError, ValueError, KeyError, TypeError):  # half a file of an older run: run the block again
            return None


def _key_of(lab: Lab) -> str:
    """A digest of all that a block is a function of."""
    digest = hashlib.blake2b(digest_size=10)
    digest.update(repr((lab.world.population, lab.shots, lab.protocols, lab.replicates, lab.entrants)).encode())
    digest.update(repr((lab.world.kinds, lab.world.row_labels, lab.world.labels, lab.world.seeds)).encode())
    split = lab.world.split
    for part in (split.test, split.unknown, split.reference, lab.world.paired):
        digest.update(part.tobytes())
    for kind, part in (*split.owners.items(), *split.held_out.items()):
        digest.update(repr((kind, part.tolist())).encode())
    for contender, vectors in zip(lab.contenders, lab.embeddings, strict=True):
        digest.update(repr((contender.engine, contender.labels, contender.parameters, contender.assumptions)).encode())
        digest.update(repr((contender.sample_labels, contender.default)).encode())
        digest.update(contender.file)
        arrays = [vectors, contender.samples, contender.replay]
        arrays += [contender.layer.weights, contender.layer.bias] if contender.layer is not None else []
        for array in arrays:
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    for one_part in lab.parts:
        digest.update(_key_of(one_part).encode())
    return digest.hexdigest()
