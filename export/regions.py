"""Regions never trained on, so that recall is measured at places the network has not seen.

The six of the literature (EarthLoc, CVPR 2024): 500 km around each.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onboard.geodesy import destination, distance_m

RADIUS_M = 500e3
CENTRES = {
    "Texas": (31.0, -99.0),
    "Alps": (46.5, 9.5),
    "California": (37.0, -120.0),
    "Gobi": (43.0, 105.0),
    "Amazon": (-4.0, -62.0),
    "Toshka": (23.0, 31.0),
}


def held_out(lat_deg: ArrayLike, lon_deg: ArrayLike, margin_m: float = 0.0) -> NDArray[np.bool_]:
    """Whether places (...) lie in one of the regions or within margin_m of it: (...)."""
    centres = np.array(list(CENTRES.values()))
    lat_deg, lon_deg = (np.asarray(part, np.float64)[..., None] for part in (lat_deg, lon_deg))
    return np.asarray(distance_m(lat_deg, lon_deg, *centres.T).min(axis=-1) < RADIUS_M + margin_m)


def draw_held_out(rng: np.random.Generator) -> tuple[float, float]:
    """A random place (lat_deg, lon_deg) in one of them, at least 45 km inside."""
    centre = list(CENTRES.values())[int(rng.integers(len(CENTRES)))]
    lat, lon = destination(*centre, rng.uniform(0, 360), (RADIUS_M - 45e3) * np.sqrt(rng.uniform()))
    return float(lat), float(lon)
