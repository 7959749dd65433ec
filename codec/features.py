"""Latents made into one vector for each picture, and near duplicates among pictures by such vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from .model.arrays import Floats

GRIDS = (1, 2)
"""Cells to a side of the grids that `descriptor` pools latents over."""

SIGNATURE_GRID = 4
"""Cells to a side of the grid of `signature`."""

_BLOCK = 2**22
"""Numbers that are held at a time for the distances of many signatures."""


def descriptor(latents: Floats) -> Floats:
    """A vector of fixed length for latents [h, w, C], float32 [10 C]: the mean of each channel, then the mean of its
    magnitude, over the whole picture, and the same over each quarter of it, row by row. For classifying and the like;
    the unit is that of the latents."""
    return np.concatenate([_pooled(latents, grid, _magnitude).ravel() for grid in GRIDS])


def signature(latents: Floats, colour_channels: Sequence[int]) -> Floats:
    """What near duplicates have in common, for `distances`: float32 [99], of the three colour channels of latents
    [h, w, C] the mean over each cell of a grid of 4x4, less the mean of all cells, and the standard deviation, then the
    mean of all cells.

    colour_channels: `Networks.colour_channels`. Finer structure is left out, as it changes with the scale of a picture
    and with what quantising loses. The mean of all cells is there once, not in each: white pages would all be alike."""
    pooled = _pooled(latents[..., list(colour_channels)], SIGNATURE_GRID, _deviation)
    mean = pooled[:, :, 0].mean(axis=(0, 1))
    pooled[:, :, 0] -= mean
    return np.append(pooled, mean)


def distances(one: Floats, others: Floats) -> Floats:
    """How far signatures [k, D] are from others [n, D], float32 [k, n] from 0 to 1: the sum of the differences of their
    numbers divided by the sum of all magnitudes (Bray and Curtis' dissimilarity), so that pictures of little contrast
    are not all alike."""
    differences = np.abs(one[:, None] - others).sum(axis=2)
    sizes = np.abs(one).sum(axis=1)[:, None] + np.abs(others).sum(axis=1)
    found: Floats = differences / np.maximum(sizes, np.float32(1e-6))
    return found


def groups(signatures: Floats, threshold: float) -> list[list[tuple[int, float]]]:
    """The groups of near duplicates among signatures [n, D], those of more than one, largest first: for each member its
    index, in rising order, and its distance to the nearest other of the group.

    Pictures are in one group where a chain of pairs that are no further apart than the threshold joins them."""
    leader = list(range(len(signatures)))
    nearest: dict[int, float] = {}

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = index = leader[leader[index]]
        return index

    for one, other, distance in _pairs(signatures, threshold):
        leader[max(find(one), find(other))] = min(find(one), find(other))
        for index in (one, other):
            nearest[index] = min(distance, nearest.get(index, distance))
    members: dict[int, list[tuple[int, float]]] = {}
    for index in sorted(nearest):
        members.setdefault(find(index), []).append((index, nearest[index]))
    return sorted(members.values(), key=len, reverse=True)


def _pairs(signatures: Floats, threshold: float) -> Iterator[tuple[int, int, float]]:
    """The pairs of indices that are no further apart than the threshold, with their distance."""
    rows = max(1, _BLOCK // max(1, signatures.size))
    for start in range(0, len(signatures), rows):
        found = distances(signatures[start : start + rows], signatures[start:])
        for row, column in np.argwhere(found <= threshold).tolist():
            if row < column:
                yield start + row, start + column, float(found[row, column])


def _magnitude(cell: Floats) -> Floats:
    """The mean magnitude of each channel, [C], over positions [h, w, C]."""
    return np.asarray(np.abs(cell).mean(axis=(0, 1)))


def _deviation(cell: Floats) -> Floats:
    """The standard deviation of each channel, [C], over positions [h, w, C]."""
    return np.asarray(cell.std(axis=(0, 1)))


def _pooled(latents: Floats, grid: int, spread: Callable[[Floats], Floats]) -> Floats:
    """Mean and spread of each channel over the cells of a grid, float32 [grid, grid, 2, C]."""
    rows, columns = (_cells(size, grid) for size in latents.shape[:2])
    cells = [[latents[row, column] for column in columns] for row in rows]
    pooled = [[(cell.mean(axis=(0, 1)), spread(cell)) for cell in row] for row in cells]
    return np.array(pooled, np.float32)


def _cells(size: int, count: int) -> list[slice]:
    """So many parts of equal size, up to rounding, which overlap where there are fewer positions than parts."""
    edges: npt.NDArray[np.int64] = np.rint(np.linspace(0, size, count + 1)).astype(int)
    starts = np.minimum(edges[:-1], size - 1)
    return [slice(start, max(end, start + 1)) for start, end in zip(starts.tolist(), edges[1:].tolist(), strict=True)]
