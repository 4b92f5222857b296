"""One frame of the simulated camera, from place, pointing, Sun and look."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.geodesy import Array
from sim.atmosphere import AIR_ABOVE_CLOUDS, air_of
from sim.clouds import cloud_layer
from sim.look import Look
from sim.ocean import OceanMask
from sim.sensor import expose
from sim.surface import ground_reflectance
from sim.texture import Mosaic, sample_footprints
from sim.view import PixelRays, look_at_earth


@dataclass(frozen=True, eq=False)
class Observation:
    """frame (H, W, 3) uint8 RGB, and what it shows, as shares 0 to 1 of the pixels the camera's mask lets see:
    earth_share; of the Earth's pixels: land_share (ice included), cloud_cover (mean opacity), mapped_share (covered
    by the mosaic)."""

    frame: NDArray[np.uint8]
    earth_share: float
    land_share: float
    cloud_cover: float
    mapped_share: float


class Renderer:
    """Renders one camera over one mosaic. Made once: the camera's rays and the ocean mask are kept.

    Not to be shared by threads (a raster's file handle is not); `twin` makes another one cheaply.
    """

    def __init__(self, camera: Camera, mosaic: Mosaic, ocean: OceanMask | None = None) -> None:
        self.camera, self.mosaic = camera, mosaic
        self.ocean = OceanMask() if ocean is None else ocean
        self._rays = PixelRays.of(camera)

    def render(
        self, position_ecef_m: Array, ecef_from_cam: Array, sun_ecef: Array, look: Look, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """A frame (H, W, 3) uint8 RGB.

        position_ecef_m (3,); ecef_from_cam (3, 3) rotation; sun_ecef (3,) unit vector; ``rng`` drives only the
        sensor's noise. Space, the unmapped and the night are black.
        """
        return self.observe(position_ecef_m, ecef_from_cam, sun_ecef, look, rng).frame

    def observe(
        self, position_ecef_m: Array, ecef_from_cam: Array, sun_ecef: Array, look: Look, rng: np.random.Generator
    ) -> Observation:
        """As `render`, with what the frame shows."""
        view = look_at_earth(self._rays, position_ecef_m, ecef_from_cam, sun_ecef)
        colours, mapped = sample_footprints(self.mosaic, view.lat_deg, view.lon_deg, view.footprint_m)
        gsd_m = float(np.median(view.footprint_m[view.seen])) if view.seen.any() else 1e3
        ocean_share = self.ocean.share(view.lat_deg, view.lon_deg, gsd_m)
        ground, land = ground_reflectance(colours, ocean_share, view, look)
        clouds = cloud_layer(view, look, sun_ecef)
        air = air_of(view, look.aerosol)

        below = air.path + air.through * ground * (1 - clouds.shadow)[..., None]
        above = air.path * np.float32(AIR_ABOVE_CLOUDS) + clouds.reflectance[..., None]
        radiance = below + (above - below) * clouds.opacity[..., None]
        radiance *= air.daylight[..., None]
        radiance[~(view.seen & mapped)] = 0.0
        frame = expose(radiance, self.camera, look, rng)

        open_px = np.ones(view.seen.shape, bool) if self.camera.mask is None else self.camera.mask
        earth = view.seen & open_px
        return Observation(
            frame,
            earth_share=float(earth.sum() / max(open_px.sum(), 1)),
            land_share=_mean(land, earth),
            cloud_cover=_mean(clouds.opacity, earth),
            mapped_share=_mean(mapped, earth),
        )


def _mean(values: NDArray, where: NDArray[np.bool_]) -> float:
    return float(values[where].mean()) if where.any() else 0.0
