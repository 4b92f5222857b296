"""Photographs against the simulator: the measures measure what they say, and the verb runs from list to sheet."""

import os

import cv2
import numpy as np
import pytest
from sim_worlds import small_camera

from index_builder.mosaic import Mosaic
from onboard.cli import main
from onboard.geodesy import destination
from onboard.ground_plane import GroundPlane
from onboard.localizer import Localizer
from onboard.rectify import Rectified
from sim.errors import SimError
from sim.validation import validate
from sim.validation_comparison import MEASURES, compare, histogram_distance, rank_correlation, table
from sim.validation_measures import light_and_colour, pixel_sharpness, spectrum_slope
from sim.validation_photographs import headings_deg, read_photographs, track_azimuth_deg
from sim.validation_sheet import draw_sheet

HEADER = "file,width,height,time_utc,lat_deg,lon_deg,truth_km,label,camera,altitude_km\n"


def _list(folder, rows):
    for row in rows:
        cv2.imwrite(str(folder / row.split(",")[0]), np.zeros((8, 8, 3), np.uint8))
    path = folder / "frames.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def _row(number, lat, lon, seconds=0.0, label="land_clear"):
    time = f"2018-04-28T06:{int(seconds // 60):02d}:{seconds % 60:09.6f}Z"
    return f"{number}.png,8,8,{time},{lat},{lon},3,{label},c.yaml,405"


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (_row(1, 95.0, 0.0), "line 2: lat_deg 95.0 is outside"),
        (_row(1, "here", 0.0), "line 2: lat_deg 'here' is no number"),
        (_row(1, 5.0, 0.0).replace("2018-04", "2018-14"), "line 2: time_utc"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, row, complaint):
    with pytest.raises(SimError, match=complaint):
        read_photographs(_list(tmp_path, [row]))


def test_a_missing_picture_column_or_list_is_named(tmp_path):
    path = _list(tmp_path, [_row(1, 5.0, 0.0)])
    (tmp_path / "1.png").unlink()
    with pytest.raises(SimError, match=r"1\.png is missing"):
        read_photographs(path)
    path.write_text("file,label\nx,y\n", encoding="utf-8")
    with pytest.raises(SimError, match="no column time_utc"):
        read_photographs(tmp_path)
    with pytest.raises(SimError, match="cannot be read"):
        read_photographs(tmp_path / "nowhere.csv")


def test_headings_follow_the_track_and_the_median_yaw(tmp_path):
    """A great circle flown across the antimeridian, the camera turned by 30 degrees; every other one is solved."""
    places = [destination(10.0, 176.0, 60.0, 250e3 * step) for step in range(6)]
    rows = [_row(i, float(lat), float(lon), 33.0 * i) for i, (lat, lon) in enumerate(places)]
    photographs = read_photographs(_list(tmp_path, rows))
    track = track_azimuth_deg(photographs)
    assert track[0] == pytest.approx(60.0, abs=0.1)
    solved = [(azimuth + 30.0) % 360 if i % 2 else None for i, azimuth in enumerate(track)]
    np.testing.assert_allclose(headings_deg(photographs, solved), np.array(track) + 30.0, atol=0.1)
    with pytest.raises(SimError, match="right pack"):
        headings_deg(photographs, [None] * 6)
    alone = [photographs[0]]  # no neighbour tells the direction of flight
    assert headings_deg(alone, [12.0]) == [12.0]
    with pytest.raises(SimError, match="tell the other 1 their headings"):
        headings_deg(photographs[::5], [12.0, None])


@pytest.mark.parametrize("slope", [-1.0, -2.0, -3.0])
def test_the_slope_of_a_spectrum_that_is_known(slope):
    size = 256
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    frequency[0, 0] = 1
    noise = np.fft.fft2(np.random.default_rng(0).standard_normal((size, size)))
    picture = np.fft.ifft2(noise * frequency ** (slope / 2)).real
    grey = np.clip(128 + 40 * picture / picture.std(), 0, 255).astype(np.uint8)
    mask = np.ones((size, size), bool)
    mask[:4], mask[:, :7] = False, False
    assert spectrum_slope(np.repeat(grey[..., None], 3, axis=2), mask) == pytest.approx(slope, abs=0.2)


def test_light_and_colour_of_plain_pictures():
    mask = np.ones((60, 60), bool)
    rgb = np.zeros((60, 60, 3), np.uint8)
    rgb[...] = (200, 100, 100)
    rgb[:, 30:] //= 2
    found = light_and_colour(Rectified(rgb, mask, 1000.0, (0.0, 0.0), GroundPlane(405e3)))
    assert found["saturation"] == pytest.approx(0.5)
    assert found["red_to_blue"] == pytest.approx(np.log(2))
    assert found["correlation_red_blue"] == pytest.approx(1)
    assert found["local_contrast"] < 0.01 < found["luminance_deviation"]
    assert sum(found["luminance_histogram"]) == pytest.approx(1, abs=1e-3)


def test_sharpness_is_of_the_finest_pixels():
    camera = small_camera(160, 120)
    noise = np.random.default_rng(0).integers(60, 200, (120, 160, 1), np.uint8).repeat(3, axis=2)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.5)
    assert pixel_sharpness(noise, camera) > 2 * pixel_sharpness(soft, camera)


def test_distances_and_ranks():
    a, b = np.eye(64)[10], np.eye(64)[26]
    assert histogram_distance(a, b) == pytest.approx(16 / 64)
    assert histogram_distance(a, a) == 0
    assert rank_correlation([1, 2, 3, 4], [1, 4, 9, 100]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # Ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4 (by hand).
    assert rank_correlation([0, 5, 5, 9], [1, 3, 2, 4]) == pytest.approx(0.9487, abs=1e-3)
    assert np.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


def _record(index, shift):
    rng = np.random.default_rng(index)
    return {
        "index": index, "label": ("land_clear", "ocean")[index % 2], "solved": index % 4 == 0, "wrong": False,
        "luminance_histogram": np.eye(64)[index % 40 + shift].tolist(),
        **{name: rng.normal(shift) for name in MEASURES},
    }  # fmt: skip


def test_a_simulator_that_is_right_is_covered_and_a_wrong_one_is_not():
    real = [_record(i, 0) for i in range(200)]
    same, other = (
        compare(real, [_record(i + start, shift) for i in range(200)]) for start, shift in ((1000, 0), (0, 8))
    )
    for measures, low, high in ((same, 0.8, 1.0), (other, 0.0, 0.05)):
        assert low <= measures["all"]["measures"]["local_contrast"]["covered"] <= high
    assert same["all"]["histogram_distance"]["pooled"] < 0.02 < other["all"]["histogram_distance"]["pooled"]
    assert same["land_clear"]["pictures"] == same["all land"]["pictures"] == 100
    assert same["all"]["located"] == {"real": 50, "simulated": 50}
    assert "local_contrast" in table(same)


@pytest.mark.real
def test_photographs_are_rendered_again_and_a_rerun_completes(shared, tmp_path):
    iss, mosaic = shared / "iss", shared / "mosaics" / "blue_marble_summer_30as.tif"
    lines = (iss / "frames.csv").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line.split(",")[0] in ("10113.jpg", "10114.jpg")]
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "frames.csv").write_text("\n".join([lines[0], *wanted]) + "\n", encoding="utf-8")
    for line in wanted:
        (frames / line.split(",")[0]).symlink_to(iss / line.split(",")[0])
    out, localizer = tmp_path / "out", Localizer()
    first = validate(frames, Mosaic(mosaic), localizer, out, {"seed": 0})
    group = first["land_clear"]
    assert group["pictures"] == 2 and group["located"]["real"] == 2 and group["wrong"] == {"real": 0, "simulated": 0}
    real, chance = (group["measures"][name]["real"][1] for name in ("inliers", "chance_inliers"))
    assert real > 2 * chance
    sheet = cv2.imread(str(out / "sheet.png"))
    assert sheet is not None and sheet.std() > 20
    # A kill loses what was being measured, not what was done.
    log = out / "simulated.jsonl"
    log.write_text("".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[:1]), encoding="utf-8")
    assert validate(frames, Mosaic(mosaic), localizer, out, {"seed": 0}) == first
    with pytest.raises(SimError, match=r"another campaign \(different: seed\)"):
        validate(frames, Mosaic(mosaic), localizer, out, {"seed": 1}, seed=1)
    table = (frames / "frames.csv").read_text(encoding="utf-8")
    (frames / "frames.csv").write_text(table.replace("land_clear", "ocean"), encoding="utf-8")
    with pytest.raises(SimError, match=r"another campaign \(different: photographs\)"):
        validate(frames, Mosaic(mosaic), localizer, out, {"seed": 0})


def test_the_verb_names_what_is_missing(tmp_path, capsys):
    call = ["sim", "validate", "--frames", str(tmp_path), "--mosaic", str(tmp_path / "no.tif"), "--out", str(tmp_path)]
    assert main(call) != 0
    assert "no.tif" in capsys.readouterr().err


def test_a_photograph_whose_name_is_no_text_is_on_the_sheet(tmp_path):
    """OpenCV ends the process on such a name."""
    photograph = tmp_path / os.fsdecode(b"caf\xe9.png")
    picture = np.full((48, 64, 3), 90, np.uint8)
    photograph.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    draw_sheet([(photograph, photograph, "land")], small_camera(), tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None
