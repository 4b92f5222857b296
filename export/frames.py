"""Real frames with known position: a folder with ``frames.csv``."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from export.looks import Picture
from onboard.camera import Camera
from onboard.camera_files import load_camera
from onboard.encoder import luminance
from onboard.errors import ImageError
from onboard.ground_plane import GroundPlane
from onboard.images import read_image
from onboard.rectify import rectifier

TABLE = "frames.csv"
COLUMNS = ("file", "lat_deg", "lon_deg", "altitude_km", "camera")


@dataclass(frozen=True)
class Frame:
    """One photograph: where it was taken, by which camera at which height, and what it shows (``label``, empty when
    not said)."""

    path: Path
    lat_deg: float
    lon_deg: float
    altitude_m: float
    camera: Camera
    label: str

    def picture(self, gsd_m: float) -> Picture:
        """The ground it shows at gsd_m metres a pixel, rectified at its altitude, image up staying up. Raises
        ImageError."""
        rgb = read_image(self.path)
        seen = rectifier(self.camera.scaled_to(rgb.shape[1], rgb.shape[0]), GroundPlane(self.altitude_m), gsd_m)(rgb)
        return Picture(luminance(seen.image), seen.mask, seen.gsd_m, seen.centre_px)

    def area_m2(self) -> float:
        """Area of the ground within its rim, without end where the rim lies above the horizon; the picture is not
        read."""
        last = np.array([self.camera.width, self.camera.height]) - 0.5
        corners = np.where([[0, 0], [1, 0], [1, 1], [0, 1]], last, -0.5)
        # Between corners too: a lens bends the sides.
        along = np.linspace(0, 1, 32, endpoint=False)[:, None]
        rim = np.concatenate([a + along * (b - a) for a, b in zip(corners, np.roll(corners, -1, axis=0))])
        ground = GroundPlane(self.altitude_m).from_camera(self.camera.rays(rim))
        return float(cv2.contourArea(ground.astype(np.float32))) if np.isfinite(ground).all() else math.inf


def read_frames(folder: Path, camera: Camera | None = None) -> list[Frame]:
    """The rows of ``folder``/frames.csv, taken by the cameras named there unless ``camera`` is given; raises ImageError
    naming what is wrong with the table, CameraError with a camera."""
    table = folder / TABLE
    cameras: dict[str, Camera] = {}

    def named(row: dict[str, str]) -> Camera:
        if camera is not None:
            return camera
        if row["camera"] not in cameras:
            cameras[row["camera"]] = load_camera(folder / row["camera"])
        return cameras[row["camera"]]

    try:
        with table.open(newline="", encoding="utf-8") as stream:
            return [
                Frame(
                    folder / row["file"], float(row["lat_deg"]), float(row["lon_deg"]),
                    float(row["altitude_km"]) * 1e3, named(row), row.get("label") or "",
                )
                for row in csv.DictReader(stream)
            ]  # fmt: skip
    except OSError as error:
        raise ImageError(f"{table}: cannot be read ({error.strerror}); it lists {', '.join(COLUMNS)}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise ImageError(f"{table}: column missing or malformed: {error}; it lists {', '.join(COLUMNS)}") from error
