"""Oriented patches: the surroundings of keypoints, turned so that each keypoint's direction points right."""

import cv2
import numpy as np
from numpy.typing import NDArray

PATCH_PX = 32
# cv2.remap takes at most 32767 rows.
_AT_ONCE = 32767 // (2 * PATCH_PX)


def patches_at(
    grey: NDArray[np.uint8], xy: NDArray[np.float32], angle_deg: NDArray[np.float32], size: int = PATCH_PX
) -> NDArray[np.uint8]:
    """Patches (N, size, size) uint8 of a picture (H, W) around pixels xy (N, 2), at the picture's own scale.

    angle_deg (N,): the keypoints' directions, clockwise from +x. One pixel of the patch is one of the picture, whatever
    the keypoint's size: the scale is known, and a wide neighbourhood tells more than a small one. Past its edges the
    picture is mirrored.
    """
    at = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    out = np.empty((len(xy), size, size), np.uint8)
    for start in range(0, len(xy), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        angle = np.radians(angle_deg[part], dtype=np.float32)[:, None]
        along, across = np.cos(angle) * at, np.sin(angle) * at
        # Columns and rows apart until the last sum, the only one of a patch's size.
        map_x = (xy[part, :1] + along)[:, None, :] - across[:, :, None]
        map_y = (xy[part, 1:] + across)[:, None, :] + along[:, :, None]
        tall = (-1, size)
        out[part] = cv2.remap(
            grey, map_x.reshape(tall), map_y.reshape(tall), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        ).reshape(-1, size, size)
    return out
