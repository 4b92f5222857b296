"""An Earth of soft noise, land everywhere, for tests of training."""

import cv2
import numpy as np

from export.earth import Earth
from export.looks import Studio
from export.noise import Noise
from export.scenes import Scenes, SceneSettings

SPAN_M, SIZE, TURNS = 1500e3, 32, 8


def studio(size: int = SIZE, span_m: float = SPAN_M) -> Studio:
    rng = np.random.default_rng(3)
    grey = cv2.GaussianBlur(rng.normal(0, 1, (600, 1200)).astype(np.float32), (0, 0), 4)
    picture = np.stack([np.clip(120 + 500 * grey, 0, 255), np.full_like(grey, 60), np.full_like(grey, 255)], -1)
    margin = round(picture.shape[1] * 10 / 360)
    wrapped = np.concatenate([picture[:, -margin:], picture, picture[:, :margin]], axis=1).astype(np.uint8)
    return Studio(Earth(wrapped, (), np.ones((180, 360), np.float32)), Noise(0), span_m, size)


def scenes(turns: int = TURNS, threads: int = 1) -> Scenes:
    return Scenes(studio(), SceneSettings(0, turns, reach_m=50e3, min_land=-1.0), threads=threads)
