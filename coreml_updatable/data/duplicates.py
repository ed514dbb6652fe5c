"""Pictures that are nearly the same: copies, resized, brightened or mirrored, and shots of one burst."""

import numpy as np

from coreml_updatable.data.inputs import Float32Array, Int64Array, UInt8Array

SIDE = 16  # of the small copies that are compared
ALIKE = 0.985  # correlation from which two count as the same
BLOCK = 2048  # rows of the table of correlations at a time


def groups_of(pictures: UInt8Array) -> Int64Array:
    """A group's number for each of ``pictures`` uint8 [n, height, width, channels]; alone in it where nothing is alike.

    Two are alike where their copies of 16 x 16 pixels correlate by 0.985 or more, one of them mirrored or not.
    """
    count = len(pictures)
    groups = np.arange(count)
    if count < 2:
        return groups
    small = _small(pictures)
    mirrored = _flat(small[:, :, ::-1])
    flat = _flat(small)
    for start in range(0, count, BLOCK):
        block = flat[start : start + BLOCK]
        alike = np.maximum(block @ flat.T, block @ mirrored.T) >= ALIKE
        for row in range(len(block)):
            joined = np.union1d(groups[start + row], groups[alike[row]])
            if len(joined) > 1:
                groups[np.isin(groups, joined)] = joined[0]
    return groups


def _small(pictures: UInt8Array) -> Float32Array:
    rows = np.linspace(0, pictures.shape[1], SIDE + 1).astype(int)
    columns = np.linspace(0, pictures.shape[2], SIDE + 1).astype(int)
    result = np.empty((len(pictures), SIDE, SIDE, pictures.shape[3]), np.float32)
    for index, picture in enumerate(pictures):
        sums = np.add.reduceat(np.add.reduceat(picture.astype(np.float32), rows[:-1], axis=0), columns[:-1], axis=1)
        result[index] = sums / (np.diff(rows)[:, None, None] * np.diff(columns)[None, :, None])
    return result


def _flat(small: Float32Array) -> Float32Array:
    """Each as a vector of mean 0 and length 1: their product is the correlation. A picture of one color is 0."""
    vectors = small.reshape(len(small), -1)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.where(lengths > 1e-3, vectors / np.maximum(lengths, 1e-3), 0.0), np.float32)
