"""Recall of the global code over the cells of the whole band, on simulated looks and on real frames.

A hit at k: one of the k best cells lies within a cell's spacing of the truth. Beside it, the same with random codes.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.looks import Studio
from export.regions import draw_held_out
from onboard.cells import CellTable
from onboard.encoder import Encoder
from onboard.geodesy import distance_m

AT = (1, 5, 20, 100)
Places = list[tuple[float, float]]


def hit_ranks(table: CellTable, codes: Iterable[NDArray[np.float32]], places: Places) -> NDArray[np.int64]:
    """For each query, codes (turns, dim), the rank (0 = first) of the best cell within table.spacing_m of its place;
    the number of cells when there is none."""
    ranks = []
    for query, (lat_deg, lon_deg) in zip(codes, places):
        near = distance_m(table.lat_deg, table.lon_deg, lat_deg, lon_deg) <= table.spacing_m
        order = table.rank(query, len(table)).indices
        hits = np.flatnonzero(near[order])
        ranks.append(hits[0] if len(hits) else len(table))
    return np.array(ranks, np.int64)


def recall(ranks: NDArray[np.int64]) -> dict[str, Any]:
    """R@k in percent and the number of queries."""
    if not len(ranks):
        return {"queries": 0}
    found = {f"R@{k}": round(100 * float((ranks < k).mean()), 1) for k in AT}
    return {"queries": len(ranks), **found, "median_rank": int(np.median(ranks)) + 1}


def random_ranks(table: CellTable, places: Places, turns: int, seed: int = 0) -> NDArray[np.int64]:
    """`hit_ranks` of codes drawn at random, for table and queries alike: what knowing nothing gives."""
    rng = np.random.default_rng(seed)

    def unit(count: int) -> NDArray[np.float32]:
        codes = rng.standard_normal((count, table.codes.shape[1])).astype(np.float32)
        return codes / np.linalg.norm(codes, axis=1, keepdims=True)

    blank = CellTable.quantized(table.lat_deg, table.lon_deg, unit(len(table)), table.spacing_m)
    return hit_ranks(blank, (unit(turns) for _ in places), places)


def simulated_queries(
    studio: Studio, count: int, seed: int, progress: Callable[[], object] = lambda: None
) -> tuple[NDArray[np.float32], Places]:
    """Looks at places in the held-out regions, at any heading: views (count, 1, size, size) and where they are."""
    rng = np.random.default_rng([seed, 1])
    views: list[NDArray[np.float32]] = []
    places: Places = []
    while len(places) < count:
        lat_deg, lon_deg = draw_held_out(rng)
        row, column = min(179, int(90 - lat_deg)), min(359, int(lon_deg + 180))
        if studio.earth.land_share[row, column] < 0.3:
            continue
        views.append(studio.look_view(rng, lat_deg, lon_deg, rng.uniform(0, 360), 0.0))
        places.append((lat_deg, lon_deg))
        progress()
    return np.stack(views), places


def by_label(ranks: NDArray[np.int64], labels: list[str]) -> dict[str, dict[str, Any]]:
    """Recall of each label apart."""
    names = sorted(set(labels))
    chosen = {name: np.array([label == name for label in labels]) for name in names}
    return {name or "unlabelled": recall(ranks[chosen[name]]) for name in names}


def encode_all(encoder: Encoder, views: Iterable[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Codes (turns, dim) of every view."""
    return [encoder.encode_turned(view) for view in views]
