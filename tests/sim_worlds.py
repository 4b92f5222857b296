"""Small worlds for the simulator's tests: mosaics made of formulae, and an ocean mask that needs no file."""

from pathlib import Path

import numpy as np

from onboard.camera import Camera
from onboard.geodesy import unit_from_latlon
from onboard.mission import Mission, Orbit
from sim.look import Look

# A perfect sensor under a thin sky, so that what is measured is geometry.
BARE = Look(aerosol=0.0, full_well_e=1e7, read_noise_e=0.01, blur_px=0.3, gamma=1.0, vignetting=0.0)


class FormulaMosaic:
    """Dim grey everywhere with bright round spots of ``radius_m`` at ``spots`` [(lat, lon), ...]."""

    gsd_m = 500.0

    def __init__(self, spots=(), radius_m=8e3, ground=(90, 80, 70)):
        self.spots, self.radius_m, self.ground = list(spots), radius_m, np.array(ground, float)

    def sample(self, lat_deg, lon_deg, gsd_m):
        valid = np.isfinite(lat_deg)
        rgb = np.broadcast_to(self.ground, (*lat_deg.shape, 3)).copy()
        places = unit_from_latlon(np.nan_to_num(lat_deg), np.nan_to_num(lon_deg))
        for spot in self.spots:
            away_m = np.linalg.norm(places - unit_from_latlon(*spot), axis=-1) * 6.371e6
            rgb += (255 - rgb) * np.exp(-((away_m / self.radius_m) ** 2))[..., None]
        return np.where(valid[..., None], rgb, 0).astype(np.uint8), valid


class NoOcean:
    """A dry Earth."""

    def share(self, lat_deg, lon_deg, gsd_m):
        return np.zeros(lat_deg.shape, np.float32)


class WavyMosaic(FormulaMosaic):
    """Land with a texture of its own, a few tens of kilometres long."""

    def sample(self, lat_deg, lon_deg, gsd_m):
        _, valid = super().sample(lat_deg, lon_deg, gsd_m)
        x, y, z = np.moveaxis(unit_from_latlon(np.nan_to_num(lat_deg), np.nan_to_num(lon_deg)), -1, 0)
        level = 120 + 50 * np.sin(300 * x + 40 * np.sin(90 * y)) * np.sin(280 * z + 2)
        rgb = np.stack([level, 0.9 * level, 0.7 * level], axis=-1)
        return np.where(valid[..., None], rgb, 0).astype(np.uint8), valid


def small_camera(width=320, height=240, fov_deg=50.0, distortion=(-0.1, 0.02, 0.001, -0.002)):
    focal = width / 2 / np.tan(np.radians(fov_deg / 2))
    return Camera(width, height, focal, focal, width / 2 - 3.5, height / 2 + 1.5, distortion=distortion, name="small")


def small_mission(camera=None):
    return Mission(
        name="test-600km", camera=camera or small_camera(96, 72), orbit=Orbit((590e3, 610e3), (97.0, 98.0)),
        latitude_band_deg=(-80.0, 80.0), pointing_sigma_deg=0.5, gsd_m=5000.0, pack_mb=8.0, latency_ms=500.0,
        false_fix_probability=1e-4,
    )  # fmt: skip


def write_mission(folder: Path) -> Path:
    """A mission file and its camera."""
    from onboard.camera_files import save_camera
    from onboard.mission import mission_yaml

    mission = small_mission()
    save_camera(mission.camera, folder / "camera.yaml")
    path = folder / "mission.yaml"
    path.write_text(mission_yaml(mission, "camera.yaml"), encoding="utf-8")
    return path
