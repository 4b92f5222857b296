"""Recall of the global code over the cells of the whole band, on simulated looks and on real frames.

A hit at k: one of the k best cells lies within a cell's spacing of the truth. Beside it, the same with random codes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.footprints import Footprint
from export.looks import Picture, Studio
from export.regions import draw_held_out
from onboard.cells import CellTable
from onboard.encoder import ViewEncoder, frame_codes, luminance, turned
from onboard.geodesy import distance_m
from onboard.images import read_image

AT = (1, 5, 10, 20, 100)
BATCH = 64
Codes = NDArray[np.float32]
Places = list[tuple[float, float]]


def hit_ranks(table: CellTable, codes: Iterable[Codes], places: Places) -> NDArray[np.int64]:
    """For each query, codes (K, dim), the rank (0 = first) of the best cell within table.spacing_m of its place;
    the number of cells when there is none."""
    cells = table.codes.astype(np.float32) * np.float32(table.scale)
    near = (distance_m(table.lat_deg, table.lon_deg, *place) <= table.spacing_m for place in places)
    return ranks_among(cells, codes, near)


def ranks_among(gallery: Codes, codes: Iterable[Codes], right: Iterable[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """For each query, codes (K, dim), how many wrong rows of the gallery (N, dim) are at least as similar, to the code
    they are likest, as the best right one; N when nothing is right. Ties count as lost: equal codes know nothing."""
    ranks = []
    for query, hit in zip(codes, right):
        similarity = (gallery @ query.T).max(axis=1)
        best = similarity[hit].max(initial=-np.inf)
        ranks.append(int((similarity[~hit] >= best).sum()) if hit.any() else len(gallery))
    return np.array(ranks, np.int64)


def recall(ranks: NDArray[np.int64]) -> dict[str, Any]:
    """R@k in percent and the number of queries."""
    if not len(ranks):
        return {"queries": 0}
    found = {f"R@{k}": round(100 * float((ranks < k).mean()), 1) for k in AT}
    return {"queries": len(ranks), **found, "median_rank": int(np.median(ranks)) + 1}


def random_ranks(table: CellTable, places: Places, asked: int, seed: int = 0) -> NDArray[np.int64]:
    """`hit_ranks` of codes drawn at random, for table and queries alike, ``asked`` a query: what knowing nothing
    gives."""
    rng = np.random.default_rng(seed)

    def unit(count: int) -> Codes:
        codes = rng.standard_normal((count, table.codes.shape[1])).astype(np.float32)
        return codes / np.linalg.norm(codes, axis=1, keepdims=True)

    blank = CellTable.quantized(table.lat_deg, table.lon_deg, unit(len(table)), table.spacing_m)
    return hit_ranks(blank, (unit(asked) for _ in places), places)


def simulated_queries(studio: Studio, count: int, seed: int) -> Iterator[tuple[Picture, tuple[float, float]]]:
    """Looks at ``count`` places in the held-out regions, at any heading, and where they are."""
    rng = np.random.default_rng([seed, 1])
    while count:
        lat_deg, lon_deg = draw_held_out(rng)
        row, column = min(179, int(90 - lat_deg)), min(359, int(lon_deg + 180))
        if studio.earth.land_share[row, column] >= 0.3:
            count -= 1
            yield studio.look_picture(rng, lat_deg, lon_deg, rng.uniform(0, 360), 0.0, aside=0.0), (lat_deg, lon_deg)


def by_label(ranks: NDArray[np.int64], labels: list[str]) -> dict[str, dict[str, Any]]:
    """Recall of each label apart."""
    names = sorted(set(labels))
    chosen = {name: np.array([label == name for label in labels]) for name in names}
    return {name or "unlabelled": recall(ranks[chosen[name]]) for name in names}


def encode_frames(encoder: ViewEncoder, frames: Iterable[Picture], spacing_m: float) -> Iterator[Codes]:
    """Codes (K, dim) of every frame, as the search among cells ``spacing_m`` apart asks for them."""
    for frame in frames:
        yield frame_codes(encoder, frame.grey, frame.mask, frame.gsd_m, frame.centre_px, spacing_m)


def encode_maps(encoder: ViewEncoder, views: Sequence[Codes]) -> Codes:
    """Codes (N, dim) of map views, north up."""
    parts = [encoder.encode(np.stack(views[at : at + BATCH])) for at in range(0, len(views), BATCH)]
    return np.concatenate(parts) if parts else np.empty((0, encoder.dim), np.float32)


def footprint_ranks(
    encoder: ViewEncoder,
    queries: Sequence[Footprint],
    database: Sequence[Footprint],
    progress: Callable[[], object] = lambda: None,
) -> NDArray[np.int64]:
    """Ranks by the protocol of EarthLoc (CVPR 2024): pictures as they are, each as one view whatever its scale, and a
    hit is a picture of the database whose footprint meets the query's. Queries that meet none (ocean) are left
    out, as there."""

    def views(pictures: Sequence[Footprint]) -> Iterator[Codes]:
        for picture in pictures:
            progress()
            yield whole_picture(picture, encoder.span_m).view(encoder.span_m, encoder.size)

    hits = [meeting(query, database) for query in queries]
    asked = [query for query, hit in zip(queries, hits) if hit.any()]
    gallery = encode_maps(encoder, list(views(database)))
    codes = (encoder.encode(turned(view, encoder.turns)) for view in views(asked))
    return ranks_among(gallery, codes, [hit for hit in hits if hit.any()])


def meeting(query: Footprint, database: Sequence[Footprint]) -> NDArray[np.bool_]:
    """(N,) which footprints of the database share ground with the query's."""
    centres = np.array([footprint.centre for footprint in database])
    reach = np.array([_radius_m(footprint) for footprint in database])
    near = distance_m(centres[:, 0], centres[:, 1], *query.centre) < reach + _radius_m(query)
    return np.array([bool(close) and query.overlap(other) > 0 for close, other in zip(near, database)], bool)


def whole_picture(footprint: Footprint, span_m: float) -> Picture:
    """The file as it is, its middle square taken to be span_m a side."""
    grey = luminance(read_image(footprint.path))
    height, width = grey.shape
    gsd_m = span_m / min(height, width)
    return Picture(grey, np.ones(grey.shape, bool), gsd_m, ((width - 1) / 2, (height - 1) / 2))


def _radius_m(footprint: Footprint) -> float:
    return float(np.linalg.norm(footprint.offsets_m(*footprint.centre), axis=1).max())
