"""WGS84: geodetic and ECEF coordinates, local axes, rays to the ellipsoid, and short ways on a sphere.

ECEF is the Earth-centred, Earth-fixed frame (ITRF axes), metres. Angles in degrees where a name ends in ``_deg``.
Nothing here is special at the poles or the antimeridian.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

WGS84_A_M = 6378137.0
WGS84_F = 1 / 298.257223563
WGS84_B_M = WGS84_A_M * (1 - WGS84_F)
WGS84_E2 = WGS84_F * (2 - WGS84_F)
EARTH_RADIUS_M = 6371008.8  # mean radius R1 (Moritz 2000), for work on a sphere


def latlon_text(lat_deg: float, lon_deg: float, digits: int) -> str:
    """A place for people: 12.3°N 45.6°W."""
    return f"{abs(lat_deg):.{digits}f}°{'NS'[lat_deg < 0]} {abs(lon_deg):.{digits}f}°{'EW'[lon_deg < 0]}"


def ecef_from_geodetic(lat_deg: ArrayLike, lon_deg: ArrayLike, alt_m: ArrayLike = 0.0) -> Array:
    """ECEF metres, shape (..., 3), of geodetic latitude, longitude (degrees) and ellipsoidal height (m)."""
    lat, lon = np.radians(lat_deg, dtype=np.float64), np.radians(lon_deg, dtype=np.float64)
    alt = np.asarray(alt_m, np.float64)
    prime_vertical = WGS84_A_M / np.sqrt(1 - WGS84_E2 * np.sin(lat) ** 2)
    across = (prime_vertical + alt) * np.cos(lat)
    up = (prime_vertical * (1 - WGS84_E2) + alt) * np.sin(lat)
    return np.stack(np.broadcast_arrays(across * np.cos(lon), across * np.sin(lon), up), axis=-1)


def geodetic_from_ecef(ecef_m: ArrayLike) -> tuple[Array, Array, Array]:
    """Geodetic latitude and longitude (degrees) and height (m) of ECEF points (..., 3).

    Bowring (1985), iterated on the reduced latitude: below a micrometre from the ground to geostationary height.
    """
    ecef = np.asarray(ecef_m, np.float64)
    x, y, z = ecef[..., 0], ecef[..., 1], ecef[..., 2]
    across = np.hypot(x, y)
    reduced = np.arctan2(z * WGS84_A_M, across * WGS84_B_M)
    second_e2 = WGS84_E2 / (1 - WGS84_E2)
    for _ in range(3):
        lat = np.arctan2(
            z + second_e2 * WGS84_B_M * np.sin(reduced) ** 3, across - WGS84_E2 * WGS84_A_M * np.cos(reduced) ** 3
        )
        reduced = np.arctan2((1 - WGS84_F) * np.sin(lat), np.cos(lat))
    prime_vertical = WGS84_A_M / np.sqrt(1 - WGS84_E2 * np.sin(lat) ** 2)
    # The sum of both projections is well conditioned at the equator and at the poles alike.
    alt = across * np.cos(lat) + z * np.sin(lat) - WGS84_A_M**2 / prime_vertical
    return np.degrees(lat), np.degrees(np.arctan2(y, x)), alt


def ecef_from_ned(lat_deg: ArrayLike, lon_deg: ArrayLike) -> Array:
    """Rotation (..., 3, 3) whose columns are the north, east and (geodetic) down axes in ECEF."""
    lat, lon = np.radians(lat_deg, dtype=np.float64), np.radians(lon_deg, dtype=np.float64)
    sin_lat, cos_lat, sin_lon, cos_lon = np.sin(lat), np.cos(lat), np.sin(lon), np.cos(lon)
    axes = np.zeros((*np.broadcast(lat, lon).shape, 3, 3))
    axes[..., 0, 0], axes[..., 1, 0], axes[..., 2, 0] = -sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat
    axes[..., 0, 1], axes[..., 1, 1] = -sin_lon, cos_lon
    axes[..., 0, 2], axes[..., 1, 2], axes[..., 2, 2] = -cos_lat * cos_lon, -cos_lat * sin_lon, -sin_lat
    return axes


def horizontal_covariance(position_ecef_m: Array, covariance_ecef_m2: Array) -> Array:
    """The north and east part (2, 2) of a position's covariance (3, 3)."""
    lat, lon, _ = (float(value) for value in geodetic_from_ecef(position_ecef_m))
    level = ecef_from_ned(lat, lon)[:, :2]
    return np.asarray(level.T @ covariance_ecef_m2 @ level)


def ecef_from_nadir_camera(lat_deg: float, lon_deg: float, heading_deg: float) -> Array:
    """Rotation (3, 3) of a camera looking straight down: +z down, image up (-y) at ``heading_deg`` from north.

    The heading counts clockwise from north, seen from above, so that at heading 0 the picture is a map.
    """
    sin, cos = np.sin(np.radians(heading_deg)), np.cos(np.radians(heading_deg))
    ned_from_cam = np.array([[-sin, -cos, 0.0], [cos, -sin, 0.0], [0.0, 0.0, 1.0]])
    return ecef_from_ned(lat_deg, lon_deg) @ ned_from_cam


def heading_deg_of(ecef_from_cam: Array, lat_deg: float, lon_deg: float) -> float:
    """Azimuth of the image's up direction (-y), degrees in [0, 360)."""
    up_ned = ecef_from_ned(lat_deg, lon_deg).T @ -ecef_from_cam[:, 1]
    return float(_azimuth_of(up_ned[1], up_ned[0]))


def intersect_ellipsoid(origin_ecef_m: ArrayLike, direction_ecef: ArrayLike) -> Array:
    """First points (..., 3) where rays from outside meet the ellipsoid; NaN where they miss it (limb, space)."""
    scale = np.array([1 / WGS84_A_M, 1 / WGS84_A_M, 1 / WGS84_B_M])
    origin, direction = np.asarray(origin_ecef_m, np.float64), np.asarray(direction_ecef, np.float64)
    o, d = origin * scale, direction * scale
    a, b, c = (d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1) - 1.0
    with np.errstate(invalid="ignore"):
        root = np.sqrt(b * b - a * c)
        # c / (-b + root) is the nearer root without the cancellation of (-b - root) / a.
        distance = np.where(b < 0, c / (root - b), np.nan)
    return origin + distance[..., None] * direction


def unit_from_latlon(lat_deg: ArrayLike, lon_deg: ArrayLike) -> Array:
    """Unit vectors (..., 3) on the sphere that takes latitude and longitude at face value."""
    lat, lon = np.radians(lat_deg, dtype=np.float64), np.radians(lon_deg, dtype=np.float64)
    return np.stack(np.broadcast_arrays(np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)), -1)


def latlon_from_unit(unit: ArrayLike) -> tuple[float, float]:
    """Latitude and longitude, degrees, of a unit vector (3,): the inverse of `unit_from_latlon`."""
    x, y, z = np.asarray(unit, np.float64)
    return float(np.degrees(np.arcsin(np.clip(z, -1, 1)))), float(np.degrees(np.arctan2(y, x)))


def distance_m(lat_a_deg: ArrayLike, lon_a_deg: ArrayLike, lat_b_deg: ArrayLike, lon_b_deg: ArrayLike) -> Array:
    """Great-circle distance in metres on the mean sphere (within 0.6 % of the geodesic)."""
    chord = np.linalg.norm(unit_from_latlon(lat_a_deg, lon_a_deg) - unit_from_latlon(lat_b_deg, lon_b_deg), axis=-1)
    return 2 * EARTH_RADIUS_M * np.arcsin(np.clip(chord / 2, 0, 1))


def destination(
    lat_deg: ArrayLike, lon_deg: ArrayLike, azimuth_deg: ArrayLike, way_m: ArrayLike
) -> tuple[Array, Array]:
    """Latitude and longitude reached from a point along an azimuth, on the mean sphere."""
    lat, lon = np.radians(lat_deg, dtype=np.float64), np.radians(lon_deg, dtype=np.float64)
    azimuth, arc = np.radians(azimuth_deg, dtype=np.float64), np.asarray(way_m, np.float64) / EARTH_RADIUS_M
    sin_lat = np.sin(lat) * np.cos(arc) + np.cos(lat) * np.sin(arc) * np.cos(azimuth)
    out_lat = np.arcsin(np.clip(sin_lat, -1, 1))
    out_lon = lon + np.arctan2(np.sin(azimuth) * np.sin(arc) * np.cos(lat), np.cos(arc) - np.sin(lat) * sin_lat)
    return np.degrees(out_lat), wrap_lon_deg(np.degrees(out_lon))


def azimuth_deg(lat_a_deg: ArrayLike, lon_a_deg: ArrayLike, lat_b_deg: ArrayLike, lon_b_deg: ArrayLike) -> Array:
    """Azimuth at A of the great circle towards B, degrees in [0, 360)."""
    lat_a, lat_b = np.radians(lat_a_deg, dtype=np.float64), np.radians(lat_b_deg, dtype=np.float64)
    dlon = np.radians(lon_b_deg, dtype=np.float64) - np.radians(lon_a_deg, dtype=np.float64)
    east = np.sin(dlon) * np.cos(lat_b)
    north = np.cos(lat_a) * np.sin(lat_b) - np.sin(lat_a) * np.cos(lat_b) * np.cos(dlon)
    return _azimuth_of(east, north)


def _azimuth_of(east: Array, north: Array) -> Array:
    # Twice: the remainder of what lies a hair below zero rounds to 360 itself.
    return np.asarray(np.degrees(np.arctan2(east, north)) % 360.0 % 360.0)


def wrap_lon_deg(lon_deg: ArrayLike) -> Array:
    """Longitude in [-180, 180)."""
    return (np.asarray(lon_deg, np.float64) + 180.0) % 360.0 - 180.0
