"""Photographs and their simulated twins side by side on one sheet."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.drawing import write
from onboard.images import read_image
from onboard.whole_file import write_whole

TILE_WIDTH_PX, COLUMNS, MOST = 240, 4, 48


def draw_sheet(pairs: list[tuple[Path, Path, str]], camera: Camera, out: Path) -> None:
    """A PNG of (photograph, simulated picture, label), left and right; at most MOST pairs, evenly chosen."""
    step = max(1, -(-len(pairs) // MOST))
    tiles = [_pair(*pair, camera) for pair in pairs[::step]]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    _, png = cv2.imencode(".png", np.vstack(rows)[..., ::-1])
    write_whole(out, png.tobytes())


def _pair(real: Path, simulated: Path, label: str, camera: Camera) -> NDArray[np.uint8]:
    both = np.hstack([_tile(real, camera), _tile(simulated, camera)])
    write(both, f"{real.stem} {label}", (4, 14), 13, (255, 230, 0))
    return cv2.copyMakeBorder(both, 0, 3, 0, 6, cv2.BORDER_CONSTANT, value=(60, 60, 60))


def _tile(path: Path, camera: Camera) -> NDArray[np.uint8]:
    picture = read_image(path)
    if camera.mask is not None:
        picture = picture * camera.mask[..., None]
    height = round(TILE_WIDTH_PX * picture.shape[0] / picture.shape[1])
    return cv2.resize(picture, (TILE_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
