"""The outline of a frame on the ground."""

import numpy as np

from onboard.camera import Camera
from onboard.geodesy import EARTH_RADIUS_M, WGS84_A_M, Array, geodetic_from_ecef, intersect_ellipsoid


def outline_lonlat_deg(camera: Camera, position_ecef_m: Array, ecef_from_cam: Array, per_side: int = 12) -> Array:
    """Longitude and latitude (N, 2), degrees, of the frame's border on the ground, clockwise in the picture.

    Where the border looks past the Earth, the horizon stands for it.
    """
    x = np.linspace(-0.5, camera.width - 0.5, per_side, endpoint=False)
    y = np.linspace(-0.5, camera.height - 0.5, per_side, endpoint=False)
    right, bottom = camera.width - 0.5, camera.height - 0.5
    left_px, top_px = np.full(per_side, -0.5), np.full(per_side, -0.5)
    right_px, bottom_px = np.full(per_side, right), np.full(per_side, bottom)
    sides = [(x, top_px), (right_px, y), (right - 0.5 - x, bottom_px), (left_px, bottom - 0.5 - y)]
    border = np.concatenate([np.column_stack(side) for side in sides])
    directions = camera.rays(border) @ ecef_from_cam.T
    ground = intersect_ellipsoid(position_ecef_m, directions)
    missed = ~np.isfinite(ground[:, 0])
    if missed.any():
        # Bend such rays towards the Earth's centre until they graze it.
        radius = float(np.linalg.norm(position_ecef_m))
        down = -position_ecef_m / radius
        sideways = directions[missed] - (directions[missed] @ down)[:, None] * down
        sideways /= np.linalg.norm(sideways, axis=1, keepdims=True)
        sine = 0.995 * EARTH_RADIUS_M / radius
        ground[missed] = intersect_ellipsoid(position_ecef_m, np.sqrt(1 - sine**2) * down + sine * sideways)
    lat, lon, _ = geodetic_from_ecef(ground)
    return np.column_stack([lon, lat])


def swath_m(camera: Camera, altitude_m: float) -> float:
    """Ground width (m) seen across the middle of the picture from an altitude, looking straight down."""
    position = np.array([WGS84_A_M + altitude_m, 0.0, 0.0])
    ecef_from_cam = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    edges = np.array([[-0.5, camera.cy], [camera.width - 0.5, camera.cy]])
    ground = intersect_ellipsoid(position, camera.rays(edges) @ ecef_from_cam.T)
    if not np.isfinite(ground).all():
        return float(2 * EARTH_RADIUS_M * np.arccos(EARTH_RADIUS_M / (EARTH_RADIUS_M + altitude_m)))
    return float(np.abs(np.arctan2(ground[:, 1], ground[:, 0])).sum() * EARTH_RADIUS_M)


def ground_way_m(off_nadir_rad: float, altitude_m: float) -> float:
    """From the nadir point along the mean sphere to what a ray so far off nadir meets, or to the horizon (m)."""
    ratio = 1 + altitude_m / EARTH_RADIUS_M
    angle = min(off_nadir_rad, float(np.arcsin(1 / ratio)))
    return float(EARTH_RADIUS_M * (np.arcsin(min(1.0, ratio * np.sin(angle))) - angle))
