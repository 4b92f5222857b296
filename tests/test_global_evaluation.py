"""Footprints, the public layout of EarthLoc, the classical baseline, and recall."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("global_land_mask")

from export import evaluate
from export.footprints import CORNERS, NAME_FIELDS, Footprint, from_name, read_footprints
from export.frames import read_frames
from export.scenes import SceneError, Scenes, SceneSettings, read_photographs
from export.vlad import VladEncoder, VocabularyError
from onboard.camera import Camera
from onboard.camera_files import save_camera
from onboard.cells import CellTable, tile_band
from onboard.errors import ImageError
from onboard.geodesy import destination, distance_m
from tests.small_earth import studio

PLACE = (12.0, 179.5)  # its footprint crosses the antimeridian
SPAN_M = 1500e3


def corners(lat_deg: float, lon_deg: float, side_m: float, heading_deg: float = 0.0) -> np.ndarray:
    """Upper left, upper right, lower right, lower left of a square picture with its up direction at a heading."""
    azimuths = np.array([-45.0, 45.0, 135.0, 225.0]) + heading_deg
    return np.column_stack(destination(lat_deg, lon_deg, azimuths, side_m / np.sqrt(2)))


def named(found: np.ndarray, picture_id: str) -> str:
    fields = [*(f"{value:.5f}" for value in found.ravel()), picture_id, "20200101", "0.0", "0.0", "250", "0"]
    return f"@{'@'.join(fields)}@.jpg"


def write(path: Path, grey: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.clip(grey, 0, 255).astype(np.uint8)[..., None].repeat(3, 2))
    return path


def test_a_name_of_the_public_layout_is_read(tmp_path: Path) -> None:
    wanted = corners(*PLACE, 300e3, 25.0)
    found = from_name(tmp_path / named(wanted, "ISS-1-2"))
    np.testing.assert_allclose(found.corners_deg, wanted, atol=1e-5)
    assert distance_m(*found.centre, *PLACE) < 100
    assert found.area_m2() == pytest.approx(300e3**2, rel=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name: name.replace("@ISS", ""), "13 fields"),
        (lambda name: name[1:], "not of the form"),
        (lambda name: name.replace(".jpg", ".txt"), "not of the form"),
        (lambda name: "@north" + name[name.index("@", 1) :], "not a number"),
        (lambda name: "@95.0" + name[name.index("@", 1) :], "no latitude"),
        (lambda name: "@nan" + name[name.index("@", 1) :], "no latitude"),
    ],
)
def test_a_malformed_name_is_refused(change, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        from_name(Path(change(named(corners(20.0, 30.0, 300e3), "ISS"))))


def test_corners_out_of_order_are_refused() -> None:
    with pytest.raises(ImageError, match="convex"):
        from_name(Path(named(corners(20.0, 30.0, 300e3)[[0, 2, 1, 3]], "x")))


def test_a_footprint_table_is_read_and_its_faults_named(tmp_path: Path) -> None:
    header = ",".join(("file", *CORNERS))
    row = ",".join(f"{value:.5f}" for value in corners(20.0, 30.0, 300e3).ravel())
    (tmp_path / "footprints.csv").write_text(f"{header}\na.jpg,{row}\n")
    assert [found.path.name for found in read_footprints(tmp_path)] == ["a.jpg"]
    (tmp_path / "footprints.csv").write_text(f"{header}\na.jpg,{row}\nb.jpg,1,2\n")
    with pytest.raises(ImageError, match=r"b\.jpg"):
        read_footprints(tmp_path)
    (tmp_path / "footprints.csv").write_text("file,lat1\n")
    with pytest.raises(ImageError, match="lon4"):
        read_footprints(tmp_path)
    with pytest.raises(ImageError, match="holds neither"):
        read_footprints(tmp_path / "nothing")
    assert len(NAME_FIELDS) == 14


def test_overlap_is_intersection_over_union() -> None:
    def square(east_m: float) -> Footprint:
        return Footprint(Path("x"), corners(*(float(v) for v in destination(*PLACE, 90.0, east_m)), 200e3))

    assert square(0).overlap(square(0)) == pytest.approx(1.0, abs=1e-3)
    assert square(0).overlap(square(100e3)) == pytest.approx(1 / 3, abs=0.01)
    assert square(0).overlap(square(250e3)) == 0
    assert square(0).overlap(Footprint(Path("y"), -corners(*PLACE, 200e3))) == 0
    hits = evaluate.meeting(square(0), [square(100e3), square(250e3), square(-150e3)])
    assert hits.tolist() == [True, False, True]


@pytest.mark.parametrize("heading", [0.0, 70.0, 200.0])
def test_a_photograph_with_corners_becomes_the_map_view_of_its_place(heading: float, tmp_path: Path) -> None:
    camera = studio(96, SPAN_M)
    grey = camera.map_picture(*PLACE, heading).grey  # as a camera of that heading sees it
    path = write(tmp_path / named(corners(*PLACE, SPAN_M, heading), "ISS").replace(".jpg", ".png"), grey)
    photographs = read_photographs(tmp_path, SPAN_M / 1.5, turns=8)
    assert path.exists() and len(photographs) == 1
    seen = photographs[0].picture(camera.gsd_m).view(SPAN_M / 1.5, 64)
    wanted = camera.map_picture(*PLACE).view(SPAN_M / 1.5, 64)
    assert np.corrcoef(seen.ravel(), wanted.ravel())[0, 1] > 0.97
    with pytest.raises(SceneError, match="none of its photographs"):
        read_photographs(tmp_path, 20 * SPAN_M, turns=8)


def test_photographs_take_their_share_of_the_pairs(tmp_path: Path) -> None:
    camera = studio(32, SPAN_M)
    write(tmp_path / named(corners(*PLACE, SPAN_M), "x").replace(".jpg", ".png"), camera.map_picture(*PLACE).grey)
    photographs = read_photographs(tmp_path, SPAN_M, turns=8)
    drawn = Scenes(camera, SceneSettings(0, 8, photo_share=0.5, min_land=-1.0), photographs).pairs(0, range(60))
    share = np.mean([distance_m(*pair.place, *PLACE) < 1e3 for pair in drawn])
    assert 0.3 < share < 0.7


def test_frames_of_unknown_heading_train_codes_for_any_heading_only(tmp_path: Path) -> None:
    (tmp_path / "frames.csv").write_text("file,lat_deg,lon_deg,altitude_km,camera\nx.jpg,10,20,400,c.yaml\n")
    with pytest.raises(SceneError, match="--turns 1"):
        read_photographs(tmp_path, SPAN_M, turns=8)
    write(tmp_path / "x.jpg", np.full((96, 128), 90.0))
    seen = read_frames(tmp_path, Camera(128, 96, 120.0, 120.0, 63.5, 47.5))[0].picture(5e3)
    assert seen.grey.shape == seen.mask.shape and seen.mask.mean() > 0.5


def test_frames_that_show_too_little_of_the_view_are_left_out(tmp_path: Path) -> None:
    """No picture is read for that: there is none. By hand, the ground within the rim of a camera without distortion,
    400 km up, is 4/3 km a pixel and hardly more at its edge."""
    save_camera(Camera(300, 225, 300.0, 300.0, 149.5, 112.0), tmp_path / "c.yaml")
    rows = ["a.jpg,10,20,400,c.yaml", "b.jpg,10,20,40,c.yaml"]
    (tmp_path / "frames.csv").write_text("\n".join(["file,lat_deg,lon_deg,altitude_km,camera", *rows]))
    high, low = read_frames(tmp_path)
    assert high.area_m2() == pytest.approx(400e3 * 300e3, rel=0.03)
    assert low.area_m2() == pytest.approx(40e3 * 30e3, rel=0.01)
    assert replace(high, altitude_m=30_000e3).area_m2() == np.inf, "the whole Earth is in sight"
    assert [photograph.path.name for photograph in read_photographs(tmp_path, 280e3, turns=1)] == ["a.jpg"]
    with pytest.raises(SceneError, match="none of its photographs"):
        read_photographs(tmp_path, 1000e3, turns=1)


def test_a_photograph_is_taken_as_the_sensor_read_it(tmp_path: Path) -> None:
    """An EXIF orientation would turn it against its camera file."""
    jpeg = cv2.imencode(".jpg", np.full((96, 128, 3), 90, np.uint8))[1].tobytes()
    # APP1: a big-endian TIFF of one entry, tag 0x0112 (orientation), SHORT, one of them: 6, turned by a quarter.
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    exif = b"Exif\x00\x00" + tiff
    (tmp_path / "x.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    assert cv2.imread(str(tmp_path / "x.jpg")).shape[:2] == (128, 96), "OpenCV would turn it"
    (tmp_path / "frames.csv").write_text("file,lat_deg,lon_deg,altitude_km,camera\nx.jpg,1,2,400,none\n")
    seen = read_frames(tmp_path, Camera(128, 96, 120.0, 120.0, 63.5, 47.5))[0].picture(5e3)
    assert seen.grey.shape[1] > seen.grey.shape[0]
    footprint = Footprint(tmp_path / "x.jpg", corners(*PLACE, SPAN_M))
    assert evaluate.whole_picture(footprint, SPAN_M).grey.shape == (96, 128)


@pytest.fixture(scope="module")
def baseline() -> VladEncoder:
    camera, rng = studio(96, SPAN_M), np.random.default_rng(0)
    places = np.column_stack([rng.uniform(-60, 60, 60), rng.uniform(-180, 180, 60)])
    return VladEncoder([camera.map_view(*place) for place in places], SPAN_M, 96, 32, seed=0)


def test_the_classical_baseline_finds_turned_pictures(baseline: VladEncoder) -> None:
    camera, rng = studio(96, SPAN_M), np.random.default_rng(1)
    places = np.column_stack([rng.uniform(-60, 60, 40), rng.uniform(-180, 180, 40)])
    gallery = baseline.encode(np.stack([camera.map_view(*place) for place in places]))
    np.testing.assert_allclose(np.linalg.norm(gallery, axis=1), 1, atol=1e-5)
    asked = list(evaluate.encode_frames(baseline, [camera.map_picture(*place, 130.0) for place in places], 100e3))
    ranks = evaluate.ranks_among(gallery, asked, np.eye(40, dtype=bool))
    assert np.mean(ranks == 0) > 0.5
    nothing = np.zeros((1, 1, 96, 96), np.float32)
    assert not baseline.encode(nothing).any(), "a blank view has no code"
    with pytest.raises(VocabularyError, match="do not give"):
        VladEncoder([camera.map_view(0.0, 0.0)], SPAN_M, 96, 32, seed=0)


def test_recall_by_the_protocol_of_earthloc(baseline: VladEncoder, tmp_path: Path) -> None:
    camera = studio(96, SPAN_M)
    places = [(20.0, 30.0), (-20.0, 60.0), (5.0, -80.0), (40.0, -150.0)]
    for number, place in enumerate(places):
        write(tmp_path / "database" / named(corners(*place, SPAN_M), f"d{number}"), camera.map_picture(*place).grey)
    for number, place in enumerate([places[2], places[0], (-50.0, 150.0)]):  # the last meets nothing: left out
        grey = camera.map_picture(*place, 90.0).grey
        write(tmp_path / "queries" / named(corners(*place, 0.8 * SPAN_M, 90.0), f"q{number}"), grey)
    queries, database = (read_footprints(tmp_path / name) for name in ("queries", "database"))
    assert evaluate.footprint_ranks(baseline, queries, database).tolist() == [0, 0]


def test_ranks_count_from_the_best_cell_within_the_spacing() -> None:
    lat, lon = tile_band((-30, 30), 1000e3)
    codes = np.eye(len(lat), dtype=np.float32)
    table = CellTable.quantized(lat, lon, codes, 400e3)
    places = [(float(lat[4]), float(lon[4])), (float(lat[4]), float(lon[4])), (80.0, 0.0)]
    ranks = evaluate.hit_ranks(table, [codes[4:5], codes[4:5] + 2 * codes[9:10], codes[4:5]], places)
    assert ranks.tolist() == [0, 1, len(table)]
    assert evaluate.recall(ranks)["R@1"] == pytest.approx(33.3)
    assert evaluate.by_label(ranks, ["a", "a", "b"])["b"]["R@100"] == 0.0


def test_codes_that_are_all_alike_find_nothing() -> None:
    gallery = np.ones((50, 4), np.float32)
    right = np.zeros(50, bool)
    right[7] = True
    assert evaluate.ranks_among(gallery, [np.ones((2, 4), np.float32)], [right]).tolist() == [49]


def test_a_wrong_frames_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"frames\.csv"):
        read_frames(tmp_path)
    (tmp_path / "frames.csv").write_text("file,lat_deg\nx.jpg,1\n")
    with pytest.raises(ImageError, match="camera"):
        read_frames(tmp_path)
