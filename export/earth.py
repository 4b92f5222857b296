"""The Earth in memory, for rendering looks fast: one small picture, sampled by cv2.remap, never a file a look."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from global_land_mask import globe
from numpy.typing import NDArray

from onboard.encoder import luminance
from onboard.errors import MosaicError
from onboard.geodesy import EARTH_RADIUS_M, Array, destination, unit_from_latlon, wrap_lon_deg

Float = NDArray  # float32; OpenCV's stubs promise less

# Columns repeated over the antimeridian on both sides, in degrees: the reach of a view at 75 degrees of latitude.
MARGIN_DEG = 10.0
# Pixels between the nodes at which a view's geometry is computed; between them it is linear to a few metres.
NODE_PX = 8
# Season pictures hold round(SEASON_STEPS * log ratio) as int8.
SEASON_STEPS = 40.0
# Grey value of open water in the map, as `onboard.encoder.luminance` gives it for the index
# builder's WATER_RGB (10, 20, 40).
WATER_GREY = 1

GREY, VEGETATION, LAND = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Earth:
    """picture (H, W, 3) uint8: grey (luminance, water already flat), vegetation (0 to 255), land (0 or 255; what the
    mosaic does not cover counts as water);
    seasons: per other month (h, w) int8, log of its grey over this one's; both equirectangular with MARGIN_DEG to
    spare on both sides. land_share (180, 360) float32: land within about 150 km of each degree."""

    picture: NDArray[np.uint8]
    seasons: tuple[NDArray[np.int8], ...]
    land_share: Float

    def sample(self, lat_deg: Array, lon_deg: Array, size_px: int) -> tuple[Float, Float, Float]:
        """grey, vegetation (0 to 1) and land (0 to 1), each (size_px, size_px) float32, at a node grid of places."""
        x, y = _pixel_maps(lat_deg, lon_deg, self.picture.shape, size_px)
        sampled = cv2.remap(self.picture, x, y, cv2.INTER_LINEAR).astype(np.float32)
        return sampled[..., GREY], sampled[..., VEGETATION] / 255, sampled[..., LAND] / 255

    def season(self, month: int, lat_deg: Array, lon_deg: Array, size_px: int) -> Float:
        """Log ratio of another month's grey to the map's, (size_px, size_px) float32."""
        x, y = _pixel_maps(lat_deg, lon_deg, self.seasons[month].shape, size_px)
        return cv2.remap(self.seasons[month].astype(np.int16), x, y, cv2.INTER_LINEAR) / np.float32(SEASON_STEPS)

    def draw_place(
        self, rng: np.random.Generator, band_deg: tuple[float, float], min_land: float
    ) -> tuple[float, float]:
        """A random place (lat_deg, lon_deg), uniform on the sphere within the band, with land in view."""
        low, high = np.sin(np.radians(band_deg))
        while True:
            lat, lon = float(np.degrees(np.arcsin(rng.uniform(low, high)))), float(rng.uniform(-180, 180))
            row, column = min(179, int(90 - lat)), min(359, int(lon + 180))
            if self.land_share[row, column] > min_land:
                return lat, lon


def node_grid(
    lat_deg: float, lon_deg: float, size_px: int, gsd_m: float, heading_deg: float, warp: NDArray | None = None
) -> tuple[Array, Array]:
    """Places at the nodes of a picture around a place, image up towards ``heading_deg``.

    ``warp`` (3, 3): homography applied to offsets (right, down) in units of half the picture's side: tilt, scale.
    """
    at = np.arange(-NODE_PX, size_px + 2 * NODE_PX, NODE_PX) - (size_px - 1) / 2
    right, down = (axis.astype(np.float64) / (size_px / 2) for axis in np.meshgrid(at, at))
    if warp is not None:
        right, down, w = np.tensordot(warp, np.stack([right, down, np.ones_like(right)]), 1)
        right, down = right / w, down / w
    half_m = size_px / 2 * gsd_m
    azimuth = np.degrees(np.arctan2(right, -down)) + heading_deg
    return destination(lat_deg, lon_deg, azimuth, np.hypot(right, down) * half_m)


def _pixel_maps(lat_deg: Array, lon_deg: Array, shape: tuple[int, ...], size_px: int) -> tuple[Float, Float]:
    height, width = shape[:2]
    per_degree = height / 180
    pivot = lon_deg[lon_deg.shape[0] // 2, lon_deg.shape[1] // 2]
    lon = pivot + wrap_lon_deg(lon_deg - pivot)
    x = (lon + 180) * per_degree + (width - 2 * height) / 2 - 0.5
    y = (90 - lat_deg) * per_degree - 0.5
    nodes = np.stack([x, y], axis=-1).astype(np.float32)
    # Pixel i lies at node (i + NODE_PX) / NODE_PX; multiples of 1/8 are exact in OpenCV's fixed-point weights.
    step = 1 / NODE_PX
    maps = cv2.warpAffine(
        nodes, np.array([[step, 0, 1], [0, step, 1]]), (size_px, size_px), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    return np.ascontiguousarray(maps[..., 0]), np.ascontiguousarray(maps[..., 1])


def load_earth(
    mosaic: Any, width_px: int, months: tuple[Path, ...] = (), progress: Callable[[int, int], None] = lambda a, b: None
) -> Earth:
    """Read a mosaic (the service ``mosaic``) of the whole Earth down to ``width_px`` columns.

    months: equirectangular pictures of the whole Earth in other seasons, north up, -180 degrees at the left edge.
    Raises MosaicError when the mosaic covers less than half of the Earth or a picture is not of that form.
    """
    height = width_px // 2
    lon = (np.arange(width_px) + 0.5) / width_px * 360 - 180
    gsd_m = 2 * np.pi * EARTH_RADIUS_M / width_px
    picture = np.zeros((height, width_px, 3), np.uint8)
    covered = 0
    strip = max(1, height // 24)
    for top in range(0, height, strip):
        lat = 90 - (np.arange(top, min(height, top + strip)) + 0.5) / height * 180
        lat_grid, lon_grid = np.meshgrid(lat, lon, indexing="ij")
        rgb, valid = mosaic.sample(lat_grid, lon_grid, gsd_m)
        covered += int(valid.sum())
        land = globe.is_land(lat_grid, lon_grid) & valid
        picture[top : top + strip] = np.stack(
            [np.where(land, _byte(luminance(rgb)), WATER_GREY), _byte(vegetation(rgb) * 255), land * np.uint8(255)], -1
        )
        progress(min(height, top + strip), height)
    if covered < height * width_px / 2:
        raise MosaicError("the mosaic covers less than half of the Earth; training draws its places from all of it")
    seasons = tuple(_season(path, picture) for path in months)
    return Earth(_wrapped(picture), tuple(_wrapped(season) for season in seasons), _land_share(picture[..., LAND]))


def vegetation(rgb: NDArray[np.uint8]) -> Float:
    """A guess at green cover, 0 to 1: a stretched normalised difference of green and red (sand -0.1, forest 0.2)."""
    red, green = (rgb[..., band].astype(np.float32) for band in (0, 1))
    return np.clip(4 * (green - red) / (green + red + 8) + 0.3, 0, 1)


def _season(path: Path, picture: NDArray[np.uint8]) -> NDArray[np.int8]:
    month = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if month is None or month.shape[1] != 2 * month.shape[0]:
        raise MosaicError(f"{path}: not a picture of the whole Earth, twice as wide as high")
    grey = luminance(np.ascontiguousarray(month[..., ::-1]))
    size = month.shape[1::-1]
    base = cv2.resize(picture[..., GREY], size, interpolation=cv2.INTER_AREA).astype(np.float32)
    land = cv2.resize(picture[..., LAND], size, interpolation=cv2.INTER_AREA) > 250
    # The offset keeps dark water and forest from exploding.
    ratio = np.log((np.maximum(grey, 0) + 12) / (base + 12)) * land
    return np.clip(np.rint(ratio * SEASON_STEPS), -127, 127).astype(np.int8)


def _land_share(land: NDArray[np.uint8]) -> Float:
    share = cv2.resize(land, (360, 180), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return cv2.blur(share, (3, 3), borderType=cv2.BORDER_REPLICATE)


def _wrapped(picture: NDArray) -> NDArray:
    margin = round(picture.shape[1] * MARGIN_DEG / 360)
    return np.concatenate([picture[:, -margin:], picture, picture[:, :margin]], axis=1)


def _byte(values: Float) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def angle_deg(lat_a: Array, lon_a: Array, lat_b: Array, lon_b: Array) -> Array:
    """Great-circle angles (N, M) between two lists of places, degrees."""
    cosine = unit_from_latlon(lat_a, lon_a) @ unit_from_latlon(lat_b, lon_b).T
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
