"""Features over a place and the landmarks they are, made of formulae."""

import numpy as np
from numpy.typing import NDArray

from index_builder.quantization import Quantized
from onboard.camera import Camera
from onboard.features import Features
from onboard.geodesy import Array, azimuth_deg, destination
from onboard.ground_plane import GroundPlane
from onboard.landmarks import Catalogue, to_arrays
from onboard.matches import View, view_of
from onboard.picture import Picture
from onboard.rectify import Rectified

BAND = (-90.0, 90.0)


def landmarks_at(
    ground_m: Array, angle_deg: Array, lat: float, lon: float, heading_deg: float
) -> tuple[Array, Array, Array]:
    """Latitude, longitude and angle on the map (N,) of what lies at ground offsets (N, 2), turned by angles (N,) in the
    frame, when it is taken over a place at a heading."""
    way, bearing = np.hypot(*ground_m.T), np.degrees(np.arctan2(ground_m[:, 0], -ground_m[:, 1]))
    at_lat, at_lon = destination(lat, lon, heading_deg + bearing, way)
    # The angle on the map is the one in the frame plus the heading as it is at the landmark.
    local_heading = azimuth_deg(at_lat, at_lon, lat, lon) + 180 - bearing
    return at_lat, at_lon, (angle_deg + local_heading) % 360


def view_with(ground_m: Array, angle_deg: Array, descriptors: NDArray[np.float32]) -> View:
    """A view of features of one scale at ground offsets (N, 2), turned by angles (N,)."""
    count = len(ground_m)
    features = Features(
        ground_m.astype(np.float32) / 930, angle_deg.astype(np.float32), np.zeros(count, np.float32),
        np.full(count, 3.0, np.float32), np.ones(count, np.float32), descriptors,
    )  # fmt: skip
    picture = Picture(*(np.zeros((480, 640), np.uint8) for _ in range(2)), np.ones((480, 640), bool))
    rectified = Rectified(np.zeros((480, 640, 3), np.uint8), picture.mask, 930.0, (0.0, 0.0), GroundPlane(405e3))
    return view_of(features, picture, rectified, Camera(640, 480, 600.0, 600.0, 319.5, 239.5))


def catalogue_of(lat_deg: Array, lon_deg: Array, angle_deg: Array, quantized: Quantized) -> Catalogue:
    """A catalogue of landmarks of one scale, given in the order in which their descriptors were quantized."""
    order = quantized.order
    places = to_arrays(lat_deg[order], lon_deg[order], angle_deg[order], np.full(len(order), 3.0), BAND)
    codes = {name: getattr(quantized, name) for name in ("codes", "list_sizes", "coarse", "codebook")}
    return Catalogue.from_arrays({**places, **codes}, BAND)
