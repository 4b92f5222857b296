"""``nadir camera mask``: a camera's mask from its own frames."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onboard.camera_files import load_camera, save_camera
from onboard.camera_mask import estimate_mask
from onboard.errors import ImageError
from onboard.images import image_paths, read_image


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    actions = subparsers.add_parser("camera", help="work on a camera file").add_subparsers(
        metavar="ACTION", required=True
    )
    parser = actions.add_parser("mask", help="find rim and structure from many frames, write the camera with its mask")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="frames of one flight, or a directory of them")
    parser.add_argument("--camera", required=True, help="camera file")
    parser.add_argument("--out", required=True, type=Path, help="camera file to write; the mask goes beside it")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 1 if an image could not be read: the others are used."""
    camera, unread = load_camera(arguments.camera), []

    def frames() -> Iterator[NDArray[np.uint8]]:
        for path in image_paths(arguments.images):
            try:
                yield read_image(path)
            except ImageError as error:
                unread.append(path)
                print(f"nadir: {error}", file=sys.stderr)

    mask = estimate_mask(frames())
    full = replace(camera.scaled_to(mask.shape[1], mask.shape[0]), mask=mask)
    save_camera(full.scaled_to(camera.width, camera.height), arguments.out)
    print(f"{arguments.out}: {mask.mean():.1%} of the picture sees the Earth", file=sys.stderr)
    return 1 if unread else 0
