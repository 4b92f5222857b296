"""``nadir camera``: a file for a camera of known lens, and its mask from its own frames."""

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from onboard.arguments import keep_inputs, named_file, number, output_file
from onboard.camera import Camera
from onboard.camera_files import load_camera, mask_file, save_camera
from onboard.camera_mask import estimate_mask
from onboard.errors import ImageError, UsageError
from onboard.images import image_paths, read_image


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    actions = subparsers.add_parser("camera", help="work on a camera file").add_subparsers(
        metavar="ACTION", required=True
    )
    new = actions.add_parser("new", help="write the camera file of a lens that nobody calibrated")
    new.add_argument("image", help="a picture as the camera took it, neither cropped nor turned")
    new.add_argument("--focal-mm", type=number(0.1, 10_000), metavar="F", help="of the lens, with --sensor-width-mm")
    new.add_argument(
        "--sensor-width-mm", type=number(0.1, 1000), metavar="W", help="36 with a focal length 'in 35 mm film'"
    )
    new.add_argument("--field-of-view-deg", type=number(0.1, 170), metavar="A", help="or this: across the width")
    new.add_argument("--out", required=True, type=output_file, help="camera file to write (ROS CameraInfo)")
    new.set_defaults(run=run_new)
    parser = actions.add_parser("mask", help="find rim and structure from many frames, write the camera with its mask")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="frames of one flight, or a directory of them")
    parser.add_argument("--camera", required=True, type=named_file, help="camera file")
    parser.add_argument("--out", required=True, type=output_file, help="camera file to write; the mask goes beside it")
    parser.set_defaults(run=run)


def run_new(arguments: argparse.Namespace) -> int:
    focal_mm, sensor_mm, angle_deg = arguments.focal_mm, arguments.sensor_width_mm, arguments.field_of_view_deg
    if (focal_mm is None) != (sensor_mm is None) or (focal_mm is None) == (angle_deg is None):
        raise UsageError("give --focal-mm and --sensor-width-mm, or --field-of-view-deg")
    keep_inputs(arguments.out, [arguments.image])
    height, width = read_image(arguments.image).shape[:2]
    focal_px = width * (focal_mm / sensor_mm if angle_deg is None else 0.5 / math.tan(math.radians(angle_deg / 2)))
    middle = (width - 1) / 2, (height - 1) / 2
    save_camera(Camera(width, height, focal_px, focal_px, *middle, name=arguments.out.stem), arguments.out)
    across, down = (2 * math.degrees(math.atan(side / 2 / focal_px)) for side in (width, height))
    print(f"{arguments.out}: {width} x {height} pixels see {across:.1f} x {down:.1f} degrees", file=sys.stderr)
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Exit code 1 if an image could not be read: the others are used."""
    paths = list(image_paths(arguments.images))
    for out in (arguments.out, mask_file(arguments.out)):
        keep_inputs(out, paths)
    camera, unread = load_camera(arguments.camera), []

    def frames() -> Iterator[NDArray[np.uint8]]:
        for path in paths:
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
