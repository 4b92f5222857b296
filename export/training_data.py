"""The stages ``nadir export pairs`` and ``nadir export views``: looks to shards."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from export.keypoint_pairs import MapKeypoints, PatchPairs, pairs_of_frame
from export.shards import write_shards
from export.training_looks import ALTITUDE_M, CAMERA, LookSettings, training_looks
from export.views import Views, view_of_frame

_FEATURES = 2500  # keypoints of a frame that are paired

Show = Callable[[int, int, int], None]


def write_pairs(mosaic_paths: list[Path], settings: LookSettings, out: Path, progress: Show) -> None:
    """Store the pairs of patches of all looks (`write_shards`)."""

    def make(places: range, show: Callable[[int, int], None]) -> list[tuple[bool, PatchPairs]]:
        found: list[tuple[bool, PatchPairs]] = []
        chart: MapKeypoints | None = None
        for look in training_looks(mosaic_paths, settings, places, lambda at: show(at, sum(len(p) for _, p in found))):
            if chart is None or chart.local is not look.chart:  # several looks share a map
                chart = MapKeypoints.of(look.chart)
            rng = np.random.default_rng((settings.seed, 4, look.truth.index))
            pairs = pairs_of_frame(look.frame, CAMERA, look.truth, ALTITUDE_M, chart, _FEATURES, rng)
            if pairs is not None:
                found.append((look.held_out, pairs))
        return found

    write_shards(mosaic_paths, settings, out, make, progress)


def write_views(mosaic_paths: list[Path], settings: LookSettings, out: Path, progress: Show) -> None:
    """Store the views of all looks (`write_shards`)."""

    def make(places: range, show: Callable[[int, int], None]) -> list[tuple[bool, Views]]:
        found: list[tuple[bool, Views]] = []
        for look in training_looks(mosaic_paths, settings, places, lambda at: show(at, len(found))):
            view = view_of_frame(look.frame, CAMERA, look.truth, ALTITUDE_M, look.chart)
            if view is not None:
                found.append((look.held_out, view))
        return found

    write_shards(mosaic_paths, settings, out, make, progress)
