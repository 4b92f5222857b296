"""Real frames with known position: a folder with ``frames.csv``."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.camera_files import load_camera
from onboard.encoder import Encoder
from onboard.errors import ImageError
from onboard.rectify import rectifier

COLUMNS = ("file", "lat_deg", "lon_deg", "altitude_km", "camera")


@dataclass(frozen=True)
class Frame:
    """One photograph: where it is, where it was taken, and what it shows (``label``, empty when not said)."""

    path: Path
    lat_deg: float
    lon_deg: float
    altitude_m: float
    camera_path: Path
    label: str

    def picture(self) -> NDArray[np.uint8]:
        """RGB uint8 (H, W, 3); raises ImageError."""
        bgr = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise ImageError(f"{self.path}: not a readable image")
        return np.ascontiguousarray(bgr[..., ::-1])


def read_frames(folder: Path) -> list[Frame]:
    """The rows of ``folder``/frames.csv; raises ImageError naming what is wrong with it."""
    table = folder / "frames.csv"
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        return [
            Frame(
                folder / row["file"], float(row["lat_deg"]), float(row["lon_deg"]), float(row["altitude_km"]) * 1e3,
                folder / row["camera"], row.get("label") or "",
            )
            for row in rows
        ]  # fmt: skip
    except OSError as error:
        raise ImageError(f"{table}: cannot be read ({error.strerror}); it lists {', '.join(COLUMNS)}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise ImageError(f"{table}: column missing or malformed: {error}; it lists {', '.join(COLUMNS)}") from error


def frame_views(frames: list[Frame], encoder: Encoder, camera: Camera | None) -> Iterator[NDArray[np.float32]]:
    """The network's view (1, size, size) of each frame, rectified at its altitude; ``camera`` overrides theirs."""
    cameras: dict[Path, Camera] = {}
    gsd_m = encoder.span_m / encoder.size / 2
    for frame in frames:
        if camera is None and frame.camera_path not in cameras:
            cameras[frame.camera_path] = load_camera(frame.camera_path)
        picture = frame.picture()
        used = (camera or cameras[frame.camera_path]).scaled_to(picture.shape[1], picture.shape[0])
        seen = rectifier(used, frame.altitude_m, gsd_m)(picture)
        yield encoder.view(seen.image, seen.mask, seen.gsd_m, seen.centre_px)
