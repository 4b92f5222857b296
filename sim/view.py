"""What each pixel looks at: the place its ray meets, and the angles of sight and Sun there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.geodesy import WGS84_A_M, WGS84_B_M, WGS84_E2, Array, intersect_ellipsoid

Grid = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PixelRays:
    """Rays of a camera, made once: directions_cam (H * W, 3) unit float64; step_rad (H, W): the angle between
    neighbouring pixels (root of the solid angle of one)."""

    directions_cam: Array
    step_rad: Grid

    @classmethod
    def of(cls, camera: Camera) -> "PixelRays":
        rays = camera.rays(camera.pixel_grid())
        grid = rays.reshape(camera.height, camera.width, 3)
        across, along = np.gradient(grid, axis=1), np.gradient(grid, axis=0)
        step = np.sqrt(np.linalg.norm(np.cross(across, along), axis=-1))
        return cls(rays, step.astype(np.float32))


@dataclass(frozen=True, eq=False)
class View:
    """Per pixel (H, W), NaN or False where the ray misses the Earth.

    seen bool; lat_deg, lon_deg float64, geodetic; ecef_m (H, W, 3) float32 on the ellipsoid; cos_view, cos_sun
    float32: cosines of the angles between the ellipsoid's normal and the camera, the Sun; glint_tilt float32: the
    cosine of the slope a wave needs to mirror the Sun into the camera; cos_scatter float32: cosine of the angle
    between the Sun's light and the light sent to the camera; footprint_m float32: the longer side of the pixel on
    the ground.
    """

    seen: NDArray[np.bool_]
    lat_deg: Array
    lon_deg: Array
    ecef_m: Grid
    cos_view: Grid
    cos_sun: Grid
    glint_tilt: Grid
    cos_scatter: Grid
    footprint_m: Grid


def look_at_earth(rays: PixelRays, position_ecef_m: Array, ecef_from_cam: Array, sun_ecef: Array) -> View:
    """The view of a camera at a place, turned by ``ecef_from_cam`` (3, 3); sun_ecef: unit vector (3,)."""
    shape = rays.step_rad.shape
    direction = np.ascontiguousarray((ecef_from_cam @ rays.directions_cam.T).T)
    ground = intersect_ellipsoid(position_ecef_m, direction)
    x, y, z = np.ascontiguousarray(ground.T).reshape(3, *shape)
    across = np.hypot(x, y)
    lat_rad = np.arctan2(z, (1 - WGS84_E2) * across)  # exact on the ellipsoid
    lon_rad = np.arctan2(y, x)

    # The normal is the gradient of the ellipsoid; single precision is ample for light.
    nx, ny, nz = (axis.astype(np.float32) for axis in (x / WGS84_A_M**2, y / WGS84_A_M**2, z / WGS84_B_M**2))
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    nx, ny, nz = nx / length, ny / length, nz / length
    dx, dy, dz = (axis.reshape(shape) for axis in direction.T.astype(np.float32))
    sx, sy, sz = (float(value) for value in sun_ecef)
    cos_view = -(dx * nx + dy * ny + dz * nz)
    cos_sun = sx * nx + sy * ny + sz * nz
    cos_scatter = -(dx * sx + dy * sy + dz * sz)  # 1: straight back to the Sun
    # Wave normal = half-way between the directions to Sun and camera, whose dot product is cos_scatter.
    glint_tilt = (cos_sun + cos_view) / np.sqrt(np.maximum(2 + 2 * cos_scatter, 1e-6))
    way = np.linalg.norm(ground - position_ecef_m, axis=-1).reshape(shape).astype(np.float32)
    return View(
        seen=np.isfinite(x), lat_deg=np.degrees(lat_rad), lon_deg=np.degrees(lon_rad),
        ecef_m=np.stack([x, y, z], axis=-1).astype(np.float32), cos_view=cos_view, cos_sun=cos_sun,
        glint_tilt=glint_tilt, cos_scatter=-cos_scatter,
        footprint_m=way * rays.step_rad / np.maximum(cos_view, np.float32(0.02)),
    )  # fmt: skip
