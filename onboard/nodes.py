"""The way from one picture to another, followed at nodes and linear between them."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.geodesy import Array

NODE_PX = 4  # within hundredths of a pixel of following each, in a tenth of the time (docs/decisions.md)


def nodes(width: int, height: int) -> Array:
    """Pixels (N, 2), every NODE_PX of a picture, row by row, to its end and beyond."""
    x, y = (np.arange(-(-size // NODE_PX) + 1) * float(NODE_PX) for size in (width, height))
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def between(values: NDArray[Any], width: int, height: int) -> NDArray[np.float32]:
    """Values (N,) at the `nodes` of a picture, at each of its pixels (height, width)."""
    at_nodes = values.reshape(-(-height // NODE_PX) + 1, -1).astype(np.float32)
    step = np.array([[1 / NODE_PX, 0, 0], [0, 1 / NODE_PX, 0]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(at_nodes, step, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE))
