"""Does the mosaic reach where a campaign looks? Asked before anything is rendered."""

import numpy as np

from sim.errors import SimError
from sim.places import MAP_GSD_M
from sim.scenario import Shot
from sim.texture import Mosaic


def require_mosaic(mosaic: Mosaic, shots: list[Shot]) -> None:
    """SimError if the nadir point of any frame lies where the mosaic has nothing."""
    lat, lon = np.array([(shot.lat_deg, shot.lon_deg) for shot in shots]).T
    missing = ~mosaic.sample(lat[None], lon[None], MAP_GSD_M)[1][0]
    if not missing.any():
        return
    count, lost = int(missing.sum()), lat[missing]
    where = f"latitudes {lost.min():.1f} to {lost.max():.1f}"
    if count < len(shots):
        held = lat[~missing]
        where += f" and longitudes {lon[missing].min():.1f} to {lon[missing].max():.1f}"
        where += f"; it covers frames between latitudes {held.min():.1f} and {held.max():.1f}"
    raise SimError(
        f"the mosaic does not cover the track: {count} of {len(shots)} frames ({count / len(shots):.0%}) are taken "
        f"over places it does not show ({where}). Name a second, coarser mosaic for the rest (--mosaic FINE.tif "
        "WORLD.tif; the first wins where both have data), or fly --scenario land, which stays on the mosaic"
    )
