"""What two networks on keypoints are worth on real photographs at known poses, before a pack is built with them.
``make bench-networks``, or ``python -m tests.bench_networks DIR --mosaic F.tif [--descriptor N] [--orientation N]``.

A pose is known where the packaged pack, told the place or not, recognises landmarks there; the landmarks asked for are
the pack's. They are described from the mosaic by the network asked about, product-quantized as in a pack, among
those of other places. Simulated pairs held out say less: what rises on them may fall here (docs/decisions.md).
"""

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from index_builder.mosaic import Mosaic
from index_builder.tiles import land_places, read_map
from onboard import Localizer, Prior, default_pack, load_camera
from onboard.clock import Clock
from onboard.describer import Describer, PatchNetwork
from onboard.features import detect, keypoint_table, once_a_place
from onboard.frame_pose import Scene
from onboard.geodesy import EARTH_RADIUS_M, distance_m, geodetic_from_ecef, unit_from_latlon
from onboard.guided import Expected, mutual
from onboard.images import read_image
from onboard.orientation import OrientationNetwork
from onboard.picture import Picture

RIGHT_M = 25e3
FEWEST = 20  # landmarks recognised, from which on a pose is taken for known (of mirrored views, one in a hundred: 15)
WEAK = 60  # photographs that show fewer are told apart: what a better network is for
PRIOR_M = 8e3
NEAR_PX, TURN_DEG, FIT_DEG = 3.5, 25.0, 20.0
MAP_HALF_PX, MARGIN_PX = 330, 40  # around a place: half a view's diagonal, its tilt, and room for patches
ELSEWHERE = 40  # other places whose landmarks are there to be taken for right ones


@dataclass(frozen=True, eq=False)
class Photograph:
    """name; recognised: by the pack; picture: rectified; seen: landmarks in view, where and how they lie in it;
    lat_deg, lon_deg: of the nadir point."""

    name: str
    recognised: int
    picture: Picture
    seen: Expected
    lat_deg: float
    lon_deg: float


@dataclass(frozen=True)
class Score:
    """Of one photograph. view: landmarks in it; recognised: described at their places, each other's likest in view;
    located: so described, among the ten nearest of all; found: by a keypoint that lies there, likewise; first, either:
    share of landmarks at whose place the likeliest direction, one of two, is the map's."""

    view: int
    recognised: int
    located: int
    found: int
    first: float
    either: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mosaic", type=Path, required=True, nargs="+", metavar="F.tif")
    parser.add_argument("--descriptor", type=Path, help="in place of the pack's")
    parser.add_argument("--orientation", type=Path, help="in place of the pack's")
    arguments = parser.parse_args()
    with (arguments.folder / "frames.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    localizer = Localizer(default_pack(), load_camera(arguments.folder / rows[0]["camera"]))
    found = [photograph(localizer, arguments.folder, row) for row in tqdm(rows, desc="poses")]
    photographs = [one for one in found if one is not None]
    describer = PatchNetwork(arguments.descriptor) if arguments.descriptor else localizer.describer
    orientation = OrientationNetwork(arguments.orientation) if arguments.orientation else localizer.orientation
    assert orientation is not None, "the packaged pack turns by a network"
    scores = measure(localizer, Mosaic(*arguments.mosaic), photographs, describer, orientation)
    report(photographs, scores)


def photograph(localizer: Localizer, folder: Path, row: dict[str, str]) -> Photograph | None:
    """A photograph with its landmarks, None where too few are recognised at its place."""
    frame = read_image(folder / row["file"])
    camera = localizer.camera.scaled_to(frame.shape[1], frame.shape[0])
    altitude_m = (float(row["altitude_km"]) * 1e3, float(row["altitude_km"]) * 10.0)
    lat, lon = float(row["lat_deg"]), float(row["lon_deg"])
    view = localizer.view(frame, camera, localizer.knowledge(altitude_m))  # knowing the place changes nothing in it
    best = None
    for prior in (None, Prior(lat, lon, PRIOR_M)):
        known = localizer.knowledge(altitude_m, prior=prior)
        for place in localizer.recognitions(view, camera, known):
            if place.pose is None or (best is not None and place.recognised <= best[0].recognised):
                continue
            at_lat, at_lon, _ = geodetic_from_ecef(place.pose.position_ecef_m)
            if place.recognised >= FEWEST and distance_m(at_lat, at_lon, lat, lon) < RIGHT_M:
                best = place, known
    if best is None:
        return None
    place, known = best
    scene = Scene(localizer._guide, view, camera, known, place.placement, Clock(None))
    everything = localizer._guide.expected(view, place.placement, 0j, float(np.abs(view.corners).max()))
    seen = scene.under(place.pose, everything)
    return Photograph(row["file"], place.recognised, view.picture, seen, lat, lon)


def measure(
    localizer: Localizer,
    mosaic: Mosaic,
    photographs: list[Photograph],
    describer: Describer,
    orientation: OrientationNetwork,
) -> list[Score]:
    """Scores of photographs, in order."""
    places = [(one.lat_deg, one.lon_deg) for one in photographs]
    others = list(land_places(mosaic, ELSEWHERE, localizer.mission.latitude_band_deg, 0))
    numbers, turns, rows = [], [], []
    for place in tqdm(places + others, desc="landmarks"):
        described = on_map(localizer, mosaic, place, describer, orientation)
        for held, part in zip((numbers, turns, rows), described):
            held.append(part)
    known, first = np.unique(np.concatenate(numbers), return_index=True)
    turn_deg, descriptors = np.concatenate(turns)[first], np.concatenate(rows)[first]
    index = faiss.IndexPQFastScan(describer.dim, describer.dim // 2, 4, faiss.METRIC_INNER_PRODUCT)
    index.train(descriptors)
    index.add(descriptors)
    stored = index.pq.decode(index.pq.compute_codes(descriptors))
    stored /= np.maximum(np.linalg.norm(stored, axis=1, keepdims=True), 1e-9)
    print(f"{len(known)} landmarks, of which {len(photographs)} photographs show some")

    scores = []
    for one in tqdm(photographs, desc="photographs"):
        seen = one.seen[np.isin(one.seen.numbers, known)]
        at = np.searchsorted(known, seen.numbers)
        xy, angle_deg = seen.xy.astype(np.float32), (seen.angle_deg + turn_deg[at]).astype(np.float32)
        there = describer.describe(one.picture, xy, angle_deg, localizer.catalogue.scale_px[seen.numbers])
        recognised = int(mutual(there @ stored[at].T).sum())
        located = int((index.search(there, 10)[1] == at[:, None]).any(axis=1).sum())
        shares = direction_shares(one.picture, orientation, xy, angle_deg)
        found = keypoints_that_find(localizer, one, describer, orientation, index, at, xy, angle_deg)
        scores.append(Score(len(seen), recognised, located, found, *shares))
    return scores


def on_map(
    localizer: Localizer,
    mosaic: Mosaic,
    place: tuple[float, float],
    describer: Describer,
    orientation: OrientationNetwork,
) -> tuple[NDArray, NDArray, NDArray]:
    """Landmarks within a view of a place: numbers (K,), how much the network turns them from the pack's directions
    (K,), descriptors (K, D)."""
    catalogue, gsd_m = localizer.catalogue, localizer.mission.gsd_m
    reach_m = (MAP_HALF_PX - MARGIN_PX) * gsd_m
    numbers = localizer._verifier.grid.within(unit_from_latlon(*place), reach_m / EARTH_RADIUS_M)
    local = read_map(mosaic, place, gsd_m, MAP_HALF_PX, MAP_HALF_PX)
    if local is None or not len(numbers):
        return np.empty(0, np.int64), np.empty(0), np.empty((0, describer.dim), np.float32)
    xy = local.pixels(catalogue.lat_deg[numbers], catalogue.lon_deg[numbers]).astype(np.float32)
    _, _, north_deg = local.geodetic(xy)
    picture = Picture.of(local.rgb, np.ones(local.mask.shape, bool))
    _, own_deg, _ = orientation.directions(picture.grey, xy, 1)
    turn_deg = own_deg + north_deg - catalogue.angle_deg[numbers]
    return numbers, turn_deg, describer.describe(picture, xy, own_deg, catalogue.scale_px[numbers])


def direction_shares(
    picture: Picture, orientation: OrientationNetwork, xy: NDArray, angle_deg: NDArray
) -> tuple[float, float]:
    """At what shares of places (K, 2) the likeliest direction, and one of two, is the right one (K,)."""
    number, found_deg, _ = orientation.directions(picture.grey, xy, 2)
    fits = np.abs((found_deg - angle_deg[number] + 180) % 360 - 180) < FIT_DEG
    _, likeliest = np.unique(number, return_index=True)  # which comes first of each
    return float(fits[likeliest].mean()), len(np.unique(number[fits])) / len(xy)


def keypoints_that_find(
    localizer: Localizer,
    one: Photograph,
    describer: Describer,
    orientation: OrientationNetwork,
    index: faiss.IndexPQFastScan,
    at: NDArray[np.int64],
    xy: NDArray[np.float32],
    angle_deg: NDArray[np.float32],
) -> int:
    """How many of the landmarks at rows (K,) of the index, which lie at pixels (K, 2) in directions (K,), are among
    the ten nearest of a keypoint found there, turned so."""
    table = once_a_place(keypoint_table(detect(one.picture, localizer.search.features)))
    number, turned_deg, _ = orientation.directions(one.picture.grey, table[:, :2], localizer.search.directions)
    keypoints = np.ascontiguousarray(table[number, :2])
    _, near = index.search(describer.describe(one.picture, keypoints, turned_deg, table[number, 3]), 10)
    here = np.full(index.ntotal, -1)
    here[at] = np.arange(len(at))
    seen = here[near]
    apart_px = np.linalg.norm(keypoints[:, None] - xy[seen], axis=2)
    turn_deg = np.abs((turned_deg[:, None] - angle_deg[seen] + 180) % 360 - 180)
    return len(np.unique(seen[(seen >= 0) & (apart_px < NEAR_PX) & (turn_deg < TURN_DEG)]))


def report(photographs: list[Photograph], scores: list[Score]) -> None:
    names = list(Score.__dataclass_fields__)
    print(f"{'photograph':14}{'by the pack':>12}" + "".join(f"{name:>12}" for name in names))
    values = np.array([[getattr(score, name) for name in names] for score in scores], float)
    for one, row in zip(photographs, values):
        print(f"{one.name:14}{one.recognised:12}" + "".join(f"{value:12.4g}" for value in row))
    weak = np.array([one.recognised < WEAK for one in photographs])
    for title, chosen in (("all, mean", np.ones_like(weak)), (f"under {WEAK}", weak)):
        if chosen.any():
            print(f"{title:14}{chosen.sum():12}" + "".join(f"{value:12.4g}" for value in values[chosen].mean(axis=0)))


if __name__ == "__main__":
    main()
