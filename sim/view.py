"""What each pixel looks at: the place its ray meets, and the angles of sight and Sun there."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.geodesy import EARTH_RADIUS_M, WGS84_A_M, WGS84_B_M, WGS84_E2, Array, intersect_ellipsoid, wrap_lon_deg

Grid = NDArray[np.float32]

# What a ray meets changes smoothly from pixel to pixel, except at the limb and around a pole. So rays are traced
# every so many pixels, as sparsely as keeps what is interpolated between them this close to the rays themselves.
STEPS = (8, 4, 2, 1)
MAX_ERROR_PX = 0.01
STRIP_PX = 1 << 15


@dataclass(frozen=True)
class NodeGrid:
    """Nodes over a picture of height x width pixels, one in the middle of every step x step pixels, and one more all
    round so that no pixel lies outside them. With step 1 the nodes are the pixels."""

    height: int
    width: int
    step: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of nodes."""
        if self.step == 1:
            return self.height, self.width
        return -(-self.height // self.step) + 2, -(-self.width // self.step) + 2

    def pixels_of_nodes(self) -> Array:
        """Where the nodes are in the picture, (rows * columns, 2)."""
        rows, columns = self.shape
        first = -1 if self.step > 1 else 0
        x = (np.arange(columns, dtype=np.float64) + first + 0.5) * self.step - 0.5
        y = (np.arange(rows, dtype=np.float64) + first + 0.5) * self.step - 0.5
        return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)

    def at_pixels(self, values: NDArray) -> NDArray:
        """Values at every pixel (height, width) of values at the nodes, float32 or float64, bilinear."""
        return self.at_nodes(values, NodeGrid(self.height, self.width, 1))

    def at_nodes(self, values: NDArray, finer: "NodeGrid") -> NDArray:
        """Values at the nodes of a finer grid of the same picture."""
        if finer.step == self.step:
            return values
        factor = self.step // finer.step
        rows, columns = self.shape
        fine = cv2.resize(values, (columns * factor, rows * factor), interpolation=cv2.INTER_LINEAR)
        cut = factor - 1 if finer.step > 1 else factor  # the margin that the finer grid does not have
        return fine[cut : cut + finer.shape[0], cut : cut + finer.shape[1]]

    def every(self, values: NDArray, pixels: int) -> NDArray:
        """Values in the middle of every so many pixels (a power of two): (ceil(height / pixels), ...)."""
        size = -(-self.width // pixels), -(-self.height // pixels)
        if pixels < self.step:
            values = self.at_nodes(values, NodeGrid(self.height, self.width, pixels))
        inner = values if min(pixels, self.step) == 1 else values[1:-1, 1:-1]
        return inner if pixels <= self.step else cv2.resize(inner, size, interpolation=cv2.INTER_AREA)


def strips(height: int, width: int) -> list[slice]:
    """The rows of a picture in strips small enough that what is computed of one stays in the processor's cache: three
    times as fast as whole pictures at a time."""
    rows = max(1, STRIP_PX // width)
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


@dataclass(frozen=True, eq=False)
class NodeRays:
    """A camera's rays through the nodes of a grid: directions_cam (N, 3) unit float64; pixel_rad (rows, columns): the
    angle between neighbouring pixels (root of the solid angle of one)."""

    grid: NodeGrid
    directions_cam: Array
    pixel_rad: Grid

    @classmethod
    def of(cls, camera: Camera, step: int) -> "NodeRays":
        grid = NodeGrid(camera.height, camera.width, step)
        rays = camera.rays(grid.pixels_of_nodes())
        field = rays.reshape(*grid.shape, 3)
        across, along = np.gradient(field, axis=1), np.gradient(field, axis=0)
        pixel = np.sqrt(np.linalg.norm(np.cross(across, along), axis=-1)) / step
        return cls(grid, rays, pixel.astype(np.float32))


@dataclass(frozen=True, eq=False)
class PixelRays:
    """Rays of a camera, made once, on grids from sparse to every pixel."""

    grids: tuple[NodeRays, ...]

    @classmethod
    def of(cls, camera: Camera) -> "PixelRays":
        return cls(tuple(NodeRays.of(camera, step) for step in STEPS))


@dataclass(frozen=True, eq=False)
class View:
    """What a picture shows. ``seen`` (height, width) bool, of the pixels: the ray meets the Earth.

    All else is at the nodes of ``grid`` (rows, columns), NaN where a ray misses; ``grid.at_pixels`` gives any of it
    for every pixel. lat_deg, lon_deg float64, geodetic, the longitudes in one piece (beyond +-180 at the
    antimeridian); ecef_m (rows, columns, 3) float32 on the ellipsoid; cos_view, cos_sun float32: cosines of the angles
    between the ellipsoid's normal and the camera, the Sun; glint_tilt float32: the cosine of the slope a wave needs to
    mirror the Sun into the camera; cos_scatter float32: cosine of the angle between the Sun's light and the light sent
    to the camera; footprint_m, near_side_m float32: the longer and the shorter side of a pixel on the ground.
    """

    grid: NodeGrid
    seen: NDArray[np.bool_]
    lat_deg: Array
    lon_deg: Array
    ecef_m: Grid
    cos_view: Grid
    cos_sun: Grid
    glint_tilt: Grid
    cos_scatter: Grid
    footprint_m: Grid
    near_side_m: Grid

    @cached_property
    def places_deg(self) -> tuple[Array, Array]:
        """Latitudes and longitudes (height, width) of the pixels."""
        return self.grid.at_pixels(self.lat_deg), self.grid.at_pixels(self.lon_deg)


def look_at_earth(rays: PixelRays, position_ecef_m: Array, ecef_from_cam: Array, sun_ecef: Array) -> View:
    """The view of a camera at a place, turned by ``ecef_from_cam`` (3, 3); sun_ecef: unit vector (3,).

    On the sparsest grid between whose nodes places are interpolated to MAX_ERROR_PX; every pixel traced where the limb
    or a pole is in the picture.
    """
    for nodes in rays.grids[:-1]:
        view = trace(nodes, position_ecef_m, ecef_from_cam, sun_ecef)
        error_px = interpolation_error_px(view)
        if error_px <= MAX_ERROR_PX:
            return view
        if not np.isfinite(error_px):
            break
    return trace(rays.grids[-1], position_ecef_m, ecef_from_cam, sun_ecef)


def interpolation_error_px(view: View) -> float:
    """Bound, in pixels, on the error of places interpolated between the nodes; infinite with the limb in view.

    A linear interpolation is off by at most an eighth of the second difference, along each of both axes.
    """
    if not np.isfinite(view.lat_deg).all():
        return float("inf")
    metres = np.radians(EARTH_RADIUS_M)
    bends = []
    for values, scale in ((view.lat_deg, metres), (view.lon_deg, metres * np.cos(np.radians(view.lat_deg)))):
        bend = np.zeros(values.shape)
        bend[:, 1:-1] += np.abs(np.diff(values, 2, axis=1))
        bend[1:-1] += np.abs(np.diff(values, 2, axis=0))
        bends.append(bend * scale)
    return float((np.hypot(*bends) / view.near_side_m).max()) / 8


def trace(nodes: NodeRays, position_ecef_m: Array, ecef_from_cam: Array, sun_ecef: Array) -> View:
    """The view through the nodes of one grid, every ray exact."""
    grid, shape = nodes.grid, nodes.grid.shape
    direction = np.ascontiguousarray((ecef_from_cam @ nodes.directions_cam.T).T)
    ground = intersect_ellipsoid(position_ecef_m, direction)
    x, y, z = np.ascontiguousarray(ground.T).reshape(3, *shape)
    lat_deg = np.degrees(np.arctan2(z, (1 - WGS84_E2) * np.hypot(x, y)))  # exact on the ellipsoid
    lon_deg = np.degrees(np.arctan2(y, x))
    met = np.isfinite(x)
    if met.any():
        pivot = float(lon_deg.flat[met.argmax()])
        if np.nanmax(lon_deg) - np.nanmin(lon_deg) >= 180.0:
            lon_deg = pivot + wrap_lon_deg(lon_deg - pivot)

    # The normal is the gradient of the ellipsoid; single precision is ample for light.
    nx, ny, nz = (axis.astype(np.float32) for axis in (x / WGS84_A_M**2, y / WGS84_A_M**2, z / WGS84_B_M**2))
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    nx, ny, nz = nx / length, ny / length, nz / length
    dx, dy, dz = (axis.reshape(shape) for axis in direction.T.astype(np.float32))
    sx, sy, sz = (np.float32(value) for value in sun_ecef)
    cos_view = -(dx * nx + dy * ny + dz * nz)
    cos_sun = sx * nx + sy * ny + sz * nz
    cos_scatter = -(dx * sx + dy * sy + dz * sz)  # 1: straight back to the Sun
    # Wave normal = half-way between the directions to Sun and camera, whose dot product is cos_scatter.
    glint_tilt = (cos_sun + cos_view) / np.sqrt(np.maximum(2 + 2 * cos_scatter, np.float32(1e-6)))
    way = np.linalg.norm(ground - position_ecef_m, axis=-1).reshape(shape).astype(np.float32)
    near_side = way * nodes.pixel_rad
    return View(
        grid, met if grid.step == 1 else np.ones((grid.height, grid.width), bool), lat_deg, lon_deg,
        ecef_m=np.stack([x, y, z], axis=-1).astype(np.float32), cos_view=cos_view, cos_sun=cos_sun,
        glint_tilt=glint_tilt, cos_scatter=-cos_scatter,
        footprint_m=near_side / np.maximum(cos_view, np.float32(0.02)), near_side_m=near_side,
    )  # fmt: skip
