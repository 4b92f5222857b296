"""The world as a catalogue knows it: its landmarks are all land."""

from dataclasses import dataclass

import cv2
import numpy as np

from onboard.drawing import PAPER, Picture
from onboard.landmarks import Catalogue

_LAND, _LINE, _FRAME = (176, 184, 190), (230, 230, 230), (200, 200, 200)


@dataclass(frozen=True, eq=False)
class World:
    """A latitude band, equirectangular. picture (H, W, 3): its land in grey, to draw upon; south, north: degrees."""

    picture: Picture
    south: float
    north: float

    @classmethod
    def of(cls, catalogue: Catalogue, band_deg: tuple[float, float], width: int) -> "World":
        south, north = max(-90.0, band_deg[0] - 4), min(90.0, band_deg[1] + 4)
        height = round(width * (north - south) / 360)
        row = ((north - catalogue.lat_deg) * (height / (north - south))).astype(np.int64).clip(0, height - 1)
        column = ((catalogue.lon_deg + 180) * (width / 360)).astype(np.int64).clip(0, width - 1)
        count = np.bincount(row * width + column, minlength=height * width).reshape(height, width)
        share = np.minimum(1, np.log1p(count) / np.log1p(np.quantile(count[count > 0], 0.9)))
        picture = (np.array(PAPER) + share[:, :, None] * (np.array(_LAND) - PAPER)).astype(np.uint8)
        world = cls(picture, south, north)
        for lat in range(-60, 61, 30):
            if south < lat < north:
                cv2.line(picture, world.pixel(lat, -180), world.pixel(lat, 180), _LINE, 1)
        cv2.rectangle(picture, (0, 0), (width - 1, height - 1), _FRAME, 1)
        return world

    def pixel(self, lat_deg: float, lon_deg: float) -> tuple[int, int]:
        """Column and row of a place."""
        height, width = self.picture.shape[:2]
        return int((lon_deg + 180) / 360 * width), int((self.north - lat_deg) / (self.north - self.south) * height)
