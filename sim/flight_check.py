"""Questions asked of a flight before it is rendered: does the camera see the Earth, is the orbit the mission's?"""

import numpy as np

from onboard.camera import Camera
from onboard.geodesy import Array, ecef_from_ned, geodetic_from_ecef, intersect_ellipsoid
from onboard.mission import Mission
from sim.errors import SimError

_PER_SIDE = 9
# The height over the ellipsoid of a near-circular orbit swings by this much about its mean.
_ALTITUDE_SLACK_M = 30e3


def require_earth_in_view(camera: Camera, positions_ecef_m: Array, ecef_from_cam: Array) -> None:
    """SimError if none of the frames, at positions (N, 3) and rotations (N, 3, 3), shows any of the Earth."""
    x, y = np.meshgrid(
        np.linspace(-0.5, camera.width - 0.5, _PER_SIDE), np.linspace(-0.5, camera.height - 0.5, _PER_SIDE)
    )
    rays = camera.rays(np.column_stack([x.ravel(), y.ravel()]))
    for position, rotation in zip(positions_ecef_m, ecef_from_cam):
        if np.isfinite(intersect_ellipsoid(position, rays @ rotation.T)[:, 0]).any():
            return
    lat, lon, altitude = geodetic_from_ecef(positions_ecef_m)
    down = ecef_from_ned(lat, lon)[..., 2]
    off_nadir = np.degrees(np.arccos(np.clip(np.einsum("ni,ni->n", ecef_from_cam[..., 2], down), -1, 1)))
    half_field = np.degrees(np.arccos(np.clip(rays[:, 2], -1, 1))).max()
    horizon = np.degrees(np.arcsin(6371e3 / (6371e3 + altitude.mean())))
    raise SimError(
        f"the camera looks away from the Earth: in all {len(off_nadir)} frames its axis is {off_nadir.min():.0f} to "
        f"{off_nadir.max():.0f} degrees off nadir and it sees {half_field:.0f} degrees about it, but from "
        f"{altitude.mean() / 1e3:.0f} km the horizon is at {horizon:.0f} degrees; check the attitude's frame and axes "
        "(+z of the camera looks forward)"
    )


def require_mission_altitude(mission: Mission, positions_ecef_m: Array) -> None:
    """SimError if the orbit, at positions (N, 3), never comes near the altitudes for which the mission is planned."""
    altitude_m = geodetic_from_ecef(positions_ecef_m)[2]
    low, high = mission.orbit.altitude_m
    if altitude_m.max() < low - _ALTITUDE_SLACK_M or altitude_m.min() > high + _ALTITUDE_SLACK_M:
        raise SimError(
            f"the orbit flies at {altitude_m.min() / 1e3:.0f} to {altitude_m.max() / 1e3:.0f} km, the mission "
            f"{mission.name} is planned for {low / 1e3:.0f} to {high / 1e3:.0f} km: mend altitude_km or the elements"
        )
