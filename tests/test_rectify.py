"""Rectification: a mark lands where its ray says, scale is the catalogue's, and nothing is aliased."""

import cv2
import numpy as np
import pytest

from onboard import Status, Vertical
from onboard.camera import Camera
from onboard.ground_plane import GroundPlane
from onboard.intake import Rejected
from onboard.rectify import rectifier

NARROW = Camera(1296, 972, 1285.7, 1285.7, 647.5, 485.5)
WIDE = Camera(1024, 1024, 512.0, 512.0, 511.5, 511.5, "plumb_bob", (-0.05, 0.01, 0.0, 0.0, 0.0))

FISHEYE = Camera(1600, 1200, 500.0, 500.0, 799.5, 599.5, "equidistant", (-0.02, 0.003, 0.0, 0.0))


def tilted(altitude_m: float, tilt_deg: float, direction_deg: float = 0.0) -> GroundPlane:
    return GroundPlane(altitude_m, Vertical.off_nadir(tilt_deg, direction_deg, 0.01).down_cam)


@pytest.mark.parametrize("plane_of", [(0.0, 0.0), (20.0, 160.0), (40.0, 70.0)])
@pytest.mark.parametrize("camera, altitude_m, gsd_m", [(NARROW, 405e3, 930.0), (WIDE, 700e3, 7400.0)])
def test_a_mark_lands_where_its_ray_says(
    camera: Camera, altitude_m: float, gsd_m: float, plane_of: tuple[float, float]
) -> None:
    plane = tilted(altitude_m, *plane_of)
    frame = np.zeros((camera.height, camera.width, 3), np.uint8)
    x, y = int(0.3 * camera.width), int(0.65 * camera.height)
    frame[y - 14 : y + 15, x - 14 : x + 15] = 255
    rectified = rectifier(camera, plane, gsd_m)(frame)
    weight = rectified.image[:, :, 0].astype(float)
    assert weight.sum() > 255
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
    centroid = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    # Aslant a square's far half covers more ground: its centroid on the ground is that of its own pixels' ground.
    square = np.stack(np.meshgrid(np.arange(x - 14, x + 15), np.arange(y - 14, y + 15)), axis=-1).reshape(-1, 2)
    corners = plane.from_camera(camera.rays(square))
    area = np.abs(np.linalg.det(plane.slope(corners)))
    expected = np.average(corners, axis=0, weights=1 / area) / gsd_m + rectified.centre_px
    np.testing.assert_allclose(centroid, expected, atol=0.25)
    np.testing.assert_allclose(
        rectified.ground_m(centroid[None])[0], (centroid - rectified.centre_px) * gsd_m, atol=1e-6
    )


@pytest.mark.parametrize("tilt_deg", [0.0, 20.0])
@pytest.mark.parametrize("camera, altitude_m, gsd_m", [(NARROW, 405e3, 930.0), (FISHEYE, 700e3, 7400.0)])
def test_what_lies_between_nodes_is_where_its_own_ray_leads(
    camera: Camera, altitude_m: float, gsd_m: float, tilt_deg: float
) -> None:
    plane = tilted(altitude_m, tilt_deg, 70.0)
    made = rectifier(camera, plane, gsd_m)
    rows, columns = np.nonzero(made.mask)
    ground_m = (np.column_stack([columns, rows]) - made.centre_px) * gsd_m
    pixels = made.reduced.project(plane.to_camera(ground_m))
    assert len(pixels) > 20_000 and not np.isnan(pixels).any()
    size = made.mask.shape[::-1]
    looked = [cv2.resize(part, size, interpolation=cv2.INTER_AREA)[rows, columns] for part in (made.map_x, made.map_y)]
    np.testing.assert_allclose(np.column_stack(looked), pixels, atol=0.1)
    # The camera looks there, and at no ground beyond: what a lens folds back into the picture is left out.
    np.testing.assert_allclose(plane.from_camera(made.reduced.rays(pixels)), ground_m, atol=gsd_m)


def test_scale_is_the_catalogues() -> None:
    """From 405 km the ISS camera sees 413 km across: 444 pixels of 930 m."""
    shape = rectifier(NARROW, GroundPlane(405e3), 930.0).mask.shape
    assert abs(shape[1] * 930.0 - 413e3) < 3e3


def test_a_narrow_field_far_off_nadir_makes_a_small_picture() -> None:
    """5 degrees of field 40 degrees off: the nadir point, 350 km away, is not in it."""
    narrow = Camera(1000, 1000, 11430.0, 11430.0, 499.5, 499.5)
    made = rectifier(narrow, tilted(405e3, 40.0, 70.0), 930.0)
    assert max(made.mask.shape) < 90 and made.mask.mean() > 0.5
    centre = made.mask.shape[1] / 2, made.mask.shape[0] / 2
    np.testing.assert_allclose(made.centre_px, centre, atol=6)


@pytest.mark.parametrize("tilt_deg", [10.0, 30.0, 40.0, 50.0])
def test_detail_finer_than_the_catalogues_is_averaged_out(tilt_deg: float) -> None:
    """Noise of single pixels: what is left of it near the nadir is no more than in a picture of the nadir."""
    noise = np.random.default_rng(0).integers(0, 256, (972, 1296, 1), np.uint8).repeat(3, axis=2)

    def left(plane: GroundPlane) -> float:
        made = rectifier(NARROW, plane, 930.0)
        rows, columns = np.nonzero(made.mask)
        ground = made(noise).ground_m(np.column_stack([columns, rows]))
        near = np.argsort(np.linalg.norm(plane.to_camera(ground), axis=1))[: len(rows) // 10]
        return float(made(noise).image[rows[near], columns[near], 0].std())

    assert left(tilted(405e3, tilt_deg)) < 1.15 * left(GroundPlane(405e3))


def test_nothing_is_seen_of_a_picture_beyond_its_reach() -> None:
    """A usable axis at the very edge of a picture whose every pixel looks too far out."""
    beside = Camera(640, 480, 2000.0, 2000.0, -3000.0, 240.0)
    with pytest.raises(Rejected, match="too little"):
        rectifier(beside, tilted(405e3, 50.0, 90.0), 930.0)


def test_more_ground_than_memory_is_refused() -> None:
    """An altitude that is not this pack's once took 12 GB and two minutes, whatever the deadline."""
    camera = Camera(1296, 972, 1285.7, 1285.7, 647.5, 485.5)
    with pytest.raises(Rejected, match="from 6000 km"):
        rectifier(camera, GroundPlane(6000e3), 930.0)
    assert rectifier(camera, GroundPlane(405e3), 930.0).mask.size < 300_000


@pytest.mark.parametrize("name", ["centre_px", "map_x", "mask", "camera"])
def test_one_bit_of_what_is_kept_for_a_camera_is_found_and_it_is_made_anew(name: str) -> None:
    """A bit of ``centre_px`` moved every fix by 29 km, with all landmarks in agreement."""
    camera = Camera(1296, 972, 1285.7, 1285.7, 647.5, 485.5)
    frame = np.zeros((972, 1296, 3), np.uint8)
    made = rectifier(camera, GroundPlane(405e3), 930.0)
    was = made(frame)
    if name == "centre_px":
        object.__setattr__(made, "centre_px", (made.centre_px[0] - 32, made.centre_px[1]))
    elif name == "camera":
        object.__setattr__(camera, "fx", camera.fx * 1.0625)
    else:
        kept = getattr(made, name).reshape(-1).view(np.uint8)
        kept[len(kept) // 2] ^= 1
    with pytest.raises(Rejected, match="changed in memory") as refused:
        made(frame)
    assert refused.value.status is Status.PACK_CORRUPT
    anew = rectifier(Camera(1296, 972, 1285.7, 1285.7, 647.5, 485.5), GroundPlane(405e3), 930.0)
    assert anew is not made and anew(frame).centre_px == was.centre_px


@pytest.mark.parametrize(
    ("width", "height", "focal_px"), [(4096, 512, 6000.0), (2048, 128, 3000.0), (8000, 400, 9000.0)]
)
def test_sensors_of_any_shape_are_reduced(width: int, height: int, focal_px: float) -> None:
    """The sides are rounded each for itself: an aspect ratio one in a hundred off was refused as another camera's."""
    camera = Camera(width, height, focal_px, focal_px, (width - 1) / 2, (height - 1) / 2)
    made = rectifier(camera, GroundPlane(500e3), 930.0)
    seen_m = np.array([width, height]) * 500e3 / focal_px
    np.testing.assert_allclose(np.array(made.mask.shape[::-1]) * 930.0, seen_m, rtol=0.02, atol=2 * 930.0)


def test_every_altitude_serves_a_camera() -> None:
    for altitude_m in np.arange(50e3, 200e3, 2e3):
        rectifier(NARROW, GroundPlane(float(altitude_m)), 930.0)


def test_a_picture_smaller_than_a_patch_is_refused() -> None:
    """800 mm before a sensor of 36 mm, from 405 km."""
    long = Camera(4928, 3280, 109_500.0, 109_500.0, 2463.5, 1639.5)
    with pytest.raises(Rejected, match=r"sees 19 x 13 km, too little for 930 m"):
        rectifier(long, GroundPlane(405e3), 930.0)
