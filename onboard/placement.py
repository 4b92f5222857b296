"""Where a frame lies on the map, as four numbers: the place and heading of its aim, and a scale.

Enough to say where every landmark should be seen while a whole pose is not yet known; what tilt and altitude leave over
is a few pixels at the rim.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import EARTH_RADIUS_M, Array, azimuth_deg, destination, latlon_from_unit, unit_from_latlon
from onboard.ground_plane import Ground, as_ground
from onboard.landmarks import Catalogue
from onboard.verification import offsets_from


@dataclass(frozen=True, eq=False)
class Placement:
    """unit (3,): of the aim, from the Earth's centre; heading_deg: azimuth of the picture's up there; scale: metres on
    the map for a metre of ground offset in the frame."""

    unit: Array
    heading_deg: float
    scale: float = 1.0

    def expected(self, catalogue: Catalogue, numbers: NDArray[np.int64]) -> tuple[Ground, NDArray[np.float32]]:
        """Ground offsets (K,) and keypoint angles (K,), degrees, at which the frame should show landmarks."""
        offsets, angle_deg = offsets_from(self.unit, self.heading_deg, catalogue, numbers)
        return as_ground(offsets) / self.scale, angle_deg

    def moved(self, factor: complex, shift_m: complex) -> "Placement":
        """The placement that expects at offset f what this one expects at factor · f + shift_m."""
        way_m = abs(shift_m) * self.scale
        heading_deg = self.heading_deg + float(np.degrees(np.angle(factor)))
        if way_m < 1.0:
            return Placement(self.unit, heading_deg % 360, self.scale * abs(factor))
        lat, lon = latlon_from_unit(self.unit)
        bearing = self.heading_deg + float(np.degrees(np.arctan2(shift_m.real, -shift_m.imag)))
        to_lat, to_lon = destination(lat, lon, bearing, way_m)
        # The way leads on at another azimuth than it began with: meridians converge.
        convergence = float(azimuth_deg(to_lat, to_lon, lat, lon)) + 180.0 - bearing
        return Placement(unit_from_latlon(to_lat, to_lon), (heading_deg + convergence) % 360, self.scale * abs(factor))


def fit_similarity(seen: Ground, expected: Ground, weight: Array, settled_m: float) -> tuple[complex, complex]:
    """factor and shift of expected = factor · seen + shift, least squares; few matches close together turn and scale
    little: the factor is held to 1 as if by a match ``settled_m`` from their middle."""
    total = weight.sum()
    from_, to = (weight * seen).sum() / total, (weight * expected).sum() / total
    spread = (weight * np.abs(seen - from_) ** 2).sum()
    covariance = (weight * (expected - to) * np.conj(seen - from_)).sum()
    held = settled_m**2
    factor = complex((covariance + held) / (spread + held))
    return factor, complex(to - factor * from_)


def radius_rad(radius_m: float) -> float:
    """The angle at the Earth's centre of a way along the ground, with room for scale and flattening."""
    return 1.1 * radius_m / EARTH_RADIUS_M
