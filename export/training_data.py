"""The stages ``nadir export pairs`` and ``nadir export views``: looks to shards."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from export.keypoint_pairs import MapKeypoints, PatchPairs, pairs_of_frame
from export.regions import held_out
from export.shards import write_shards
from export.training_looks import CAMERA, Earths, LookSettings, half_px, training_looks
from export.views import Views, view_of_frame
from onboard.patches import PATCH_PX

_FEATURES = 2500  # keypoints of a frame that are paired

Show = Callable[[int, int, int], None]


def write_pairs(earths: Earths, settings: LookSettings, out: Path, progress: Show) -> None:
    """Store the pairs of patches of all looks (`write_shards`). Held out are those in the regions; patches that reach
    into one are left out."""
    margin_m = PATCH_PX * settings.gsd_m

    def make(places: range, show: Callable[[int, int], None]) -> list[tuple[bool, PatchPairs]]:
        found: list[tuple[bool, PatchPairs]] = []
        chart: MapKeypoints | None = None
        for look in training_looks(earths, settings, places, lambda at: show(at, sum(len(p) for _, p in found))):
            if chart is None or chart.local is not look.chart:  # several looks share a map
                chart = MapKeypoints.of(look.chart)
            rng = np.random.default_rng((settings.seed, 4, look.truth.index))
            pairs = pairs_of_frame(look.frame, CAMERA, look.truth, settings.altitude_m, chart, _FEATURES, rng)
            if pairs is not None:
                inside, near = (held_out(pairs.lat_deg, pairs.lon_deg, margin) for margin in (0.0, margin_m))
                parts = (True, pairs[inside]), (False, pairs[~near])
                found.extend((held, part) for held, part in parts if len(part))
        return found

    write_shards(earths, settings, out, make, progress)


def write_views(earths: Earths, settings: LookSettings, out: Path, progress: Show) -> None:
    """Store the views of all looks (`write_shards`). Held out are those of places in the regions; looks from elsewhere
    that show some of one are left out."""
    margin_m = half_px(settings) * settings.gsd_m

    def make(places: range, show: Callable[[int, int], None]) -> list[tuple[bool, Views]]:
        found: list[tuple[bool, Views]] = []
        for look in training_looks(earths, settings, places, lambda at: show(at, len(found))):
            place = look.truth.lat_deg, look.truth.lon_deg
            held = bool(held_out(*place))
            if not held and held_out(*place, margin_m):
                continue
            view = view_of_frame(look.frame, CAMERA, look.truth, settings.altitude_m, look.chart)
            if view is not None:
                found.append((held, view))
        return found

    write_shards(earths, settings, out, make, progress)
