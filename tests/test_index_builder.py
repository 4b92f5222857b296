"""The ground side: mosaics, tiles, missions, and a build that is whole, resumable and reproducible."""

import os
import shutil
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_bounds, from_origin

from index_builder import calibration
from index_builder.build import _size_for
from index_builder.crew import WorkerError, on_all_cores
from index_builder.extraction import Networks, extract_landmarks
from index_builder.mosaic import Mosaic
from index_builder.pack_writer import replaceable
from index_builder.progress import Stages
from index_builder.tiles import WATER_RGB, is_land, land_places, read_map, tiles_of
from onboard import BudgetError, MissionError, MosaicError, PackError, Prior
from onboard.cli import main
from onboard.evidence import Evidence
from onboard.mission import load_mission, mission_yaml
from onboard.pack import MANIFEST, open_pack, read_manifest
from tests.conftest import MISSION
from tests.networks import DIM, write_network, write_orientation_network


@pytest.fixture(scope="session")
def coordinates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A global raster whose colours tell the place: red the longitude, green the latitude, in steps of 360 / 250."""
    path = tmp_path_factory.mktemp("raster") / "coordinates.tif"
    lon, lat = np.meshgrid(np.arange(720) / 2 - 179.75, 89.75 - np.arange(360) / 2)
    data = np.stack([(lon + 180) / 360 * 250, (lat + 90) / 180 * 250, 0 * lon]).astype(np.uint8)
    profile = dict(driver="GTiff", dtype="uint8", count=3, width=720, height=360, crs="EPSG:4326")
    with rasterio.open(path, "w", **profile, transform=from_bounds(-180, -90, 180, 90, 720, 360)) as target:
        target.write(data)
    return path


@pytest.mark.parametrize("lat, lon", [(0.0, 0.0), (45.0, 179.9), (-45.0, -179.9), (89.0, 30.0), (-60.0, -100.0)])
def test_sampling_reads_the_place_asked_for(coordinates: Path, lat: float, lon: float) -> None:
    grid_lat, grid_lon = np.meshgrid(lat + np.linspace(-0.9, 0.9, 12), lon + np.linspace(-3, 3, 12), indexing="ij")
    rgb, valid = Mosaic(coordinates).sample(grid_lat, grid_lon, 55e3)
    assert valid.all()
    expected = (grid_lon + 180) % 360 / 360 * 250
    away_from_seam = np.abs((grid_lon + 180) % 360 - 180) < 178.5
    assert np.abs(rgb[:, :, 0] - expected)[away_from_seam].max(initial=0) < 2
    assert np.abs(rgb[:, :, 1] - (grid_lat + 90) / 180 * 250).max() < 2


def test_no_place_no_colour(coordinates: Path) -> None:
    rgb, valid = Mosaic(coordinates).sample(np.full((2, 2), np.nan), np.zeros((2, 2)), 55e3)
    assert not valid.any() and not rgb.any()


def test_coarse_sampling_does_not_alias(tmp_path: Path) -> None:
    """A raster of alternating black and white columns is grey from far away."""
    path = tmp_path / "stripes.tif"
    data = np.zeros((1, 512, 1024), np.uint8)
    data[:, :, ::2] = 255
    profile = dict(driver="GTiff", dtype="uint8", count=1, width=1024, height=512, crs="EPSG:4326")
    with rasterio.open(path, "w", **profile, transform=from_bounds(0, 0, 10.24, 5.12, 1024, 512)) as target:
        target.write(data)
    lat, lon = np.meshgrid(np.linspace(1, 4, 20), np.linspace(1, 9, 20), indexing="ij")
    rgb, valid = Mosaic(path).sample(lat, lon, 8 * 1113.0)
    assert valid.all() and np.abs(rgb.astype(int) - 127).max() < 8
    outside = Mosaic(path).sample(lat + 30, lon, 1113.0)[1]
    assert not outside.any()


def test_projected_rasters_are_warped(tmp_path: Path) -> None:
    path = tmp_path / "mercator.tif"
    data = np.full((3, 200, 200), 90, np.uint8)
    profile = dict(driver="GTiff", dtype="uint8", count=3, width=200, height=200, crs="EPSG:3857")
    with rasterio.open(path, "w", **profile, transform=from_bounds(0, 0, 2e6, 2e6, 200, 200)) as target:
        target.write(data)
    rgb, valid = Mosaic(path).sample(np.full((3, 3), 8.0), np.full((3, 3), 9.0), 1e4)
    assert valid.all() and (rgb == 90).all()


def test_bad_mosaics_are_named(tmp_path: Path) -> None:
    with pytest.raises(MosaicError, match="no such file"):
        Mosaic(tmp_path / "gone.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(MosaicError, match="GDAL"):
        Mosaic(tmp_path / "text.tif")
    with rasterio.open(tmp_path / "plain.png", "w", driver="PNG", dtype="uint8", count=3, width=8, height=8) as target:
        target.write(np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(MosaicError, match="nadir index georeference"):
        Mosaic(tmp_path / "plain.png")


@pytest.mark.parametrize("band", [(-56.0, 56.0), (10.0, 50.0), (60.0, 90.0)])
def test_every_place_lies_in_one_tile(band: tuple[float, float], rng: np.random.Generator) -> None:
    tiles = tiles_of(band, 7400.0)
    lat, lon = rng.uniform(band[0], band[1] - 1e-9, 3000), rng.uniform(-180, 180, 3000)
    assert (sum(tile.holds(lat, lon).astype(int) for tile in tiles) == 1).all()


def test_local_maps_know_their_places(blue_marble: Path) -> None:
    local = read_map(Mosaic(blue_marble), (36.0, 179.0), 7400.0, 60, 60)
    assert local is None, "open Pacific"
    local = read_map(Mosaic(blue_marble), (36.0, 27.0), 7400.0, 60, 60)
    assert local is not None
    lat, lon, turn = local.geodetic(np.array([[60, 60], [60, 0], [120, 60]]))
    np.testing.assert_allclose(lat[:2], [36.0, 36.0 + np.degrees(60 * 7400 / 6371008.8)], atol=1e-6)
    np.testing.assert_allclose(lon[:2], 27.0, atol=1e-6)
    # East of the centre meridians lean to the left in the picture: by the longitude times the sine of the latitude.
    convergence = float((lon[2] - 27.0) * np.sin(np.radians(36.0)))
    np.testing.assert_allclose((turn + 180) % 360 - 180, [0.0, 0.0, convergence], atol=0.1)
    sea = ~is_land(np.array(34.5), np.array(27.5))
    assert sea and (local.rgb.reshape(-1, 3) == WATER_RGB).all(axis=1).any()


def test_extraction_resumes_and_repeats(blue_marble: Path, tmp_path: Path) -> None:
    mosaic, steps = Mosaic(blue_marble), []
    first = extract_landmarks(mosaic, (30.0, 45.0), 7400.0, None, tmp_path, lambda done, total: steps.append(done))
    kept = sorted(tmp_path.rglob("*.npz"))
    stamp = kept[1].stat().st_mtime_ns
    kept[0].unlink()  # as if killed before this tile was done
    again = extract_landmarks(mosaic, (30.0, 45.0), 7400.0, None, tmp_path, lambda done, total: None)
    assert (
        len(first) > 3000 and (first.lat_deg == again.lat_deg).all() and (first.descriptors == again.descriptors).all()
    )
    assert kept[1].stat().st_mtime_ns == stamp, "a finished tile is not done again"
    assert steps[-1] == len(kept)
    assert first.lat_deg.min() >= 30 and first.lat_deg.max() < 45


def test_landmarks_are_turned_and_described_by_the_networks_given(blue_marble: Path, tmp_path: Path) -> None:
    networks = Networks(write_network(tmp_path / "d.onnx"), write_orientation_network(tmp_path / "o.onnx"))
    band, gsd_m = (44.0, 46.0), 7400.0
    mosaic = Mosaic(blue_marble)
    plain, turned = (
        extract_landmarks(mosaic, band, gsd_m, of, tmp_path / "work", lambda done, total: None)
        for of in (None, networks)
    )
    assert plain is not None and turned is not None
    assert len(list((tmp_path / "work").iterdir())) == 2  # kept apart
    assert turned.descriptors.shape[1] == DIM and plain.descriptors.shape[1] == 128
    places = set(zip(turned.lat_deg.tolist(), turned.lon_deg.tolist(), strict=True))
    assert len(places) == len(turned) < len(plain)  # SIFT turns some two ways
    assert places == set(zip(plain.lat_deg.tolist(), plain.lon_deg.tolist(), strict=True))


def test_budgets(tmp_path: Path) -> None:
    count, lists = _size_for(32 * 2**20, 0, 128, 10**7)
    assert 700_000 < count < 900_000 and lists == 1024
    assert _size_for(32 * 2**20, 0, 128, 5000)[0] == 5000
    with pytest.raises(BudgetError, match=r"0\.3 MiB, of which the networks take 0\.10"):
        _size_for(0.3 * 2**20, 10**5, 128, 10**6)
    with pytest.raises(MosaicError, match="shows 530 landmarks"):
        _size_for(32 * 2**20, 0, 128, 530)


@pytest.mark.parametrize("kept", ["notes.txt", "pack"])
def test_only_a_pack_is_replaced(tmp_path: Path, kept: str) -> None:
    out = tmp_path / "out"
    assert replaceable(out) == out
    out.mkdir()
    assert replaceable(out) == out
    (out / (MANIFEST if kept == "pack" else kept)).write_text("")
    if kept == "pack":
        assert replaceable(out) == out
    else:
        with pytest.raises(PackError, match="no flight pack"):
            replaceable(out)


def _exits(number: int) -> int:
    os._exit(9)


def _starts() -> None:
    pass


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(WorkerError, match="run the same command again"):
        list(on_all_cores(_exits, range(4), _starts))


def test_holes_of_a_mosaic_are_no_map(blue_marble: Path, tmp_path: Path) -> None:
    """By nodata, by alpha, and beside a picture that is warped; no landmark lies on such an edge."""
    whole = Mosaic(blue_marble)
    lat, lon = np.meshgrid(np.linspace(40, 30, 60), np.linspace(0, 10, 60), indexing="ij")
    assert whole.sample(lat, lon, 20e3)[1].all()
    hole = np.zeros((600, 600), bool)
    hole[200:400, 200:400] = True
    for name, extra in (("nodata", {"nodata": 0}), ("alpha", {"count": 4})):
        picture = np.full((extra.get("count", 3), 600, 600), 90, np.uint8)
        picture[3:] = 255
        picture[:, hole] = 0
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "width": 600, "height": 600, "crs": "EPSG:4326"}
        path = tmp_path / f"{name}.tif"
        with rasterio.open(path, "w", **profile | extra, transform=from_origin(0, 40, 1 / 60, 1 / 60)) as target:
            target.write(picture)
        _, valid = Mosaic(path).sample(lat, lon, 2e3)
        inside = (np.abs(lat - 35) < 1.6) & (np.abs(lon - 5) < 1.6)
        beyond = (np.abs(lat - 35) > 1.8) | (np.abs(lon - 5) > 1.8)
        inner = (lat > 30) & (lat < 40) & (lon > 0) & (lon < 10)
        assert not valid[inside].any() and valid[beyond & inner].all()
        rgb_of_both, valid = Mosaic(path, blue_marble).sample(lat, lon, 20e3)
        assert valid.all() and rgb_of_both[inside].std() > 5, "the next mosaic shows through"
        for place in land_places(Mosaic(path), 30, (30, 40), 0):
            assert max(abs(place[0] - 35), abs(place[1] - 5)) > 1.5 and 0 < place[1] < 10
    with pytest.raises(MosaicError, match="next to no land"):
        next(land_places(Mosaic(path), 1, (-40, -30), 0))


def test_a_palette_is_no_colour(tmp_path: Path) -> None:
    path, out = tmp_path / "palette.png", tmp_path / "out.tif"
    with rasterio.open(path, "w", driver="PNG", dtype="uint8", count=1, width=64, height=32) as target:
        target.write(np.full((1, 32, 64), 7, np.uint8))
        target.write_colormap(1, {7: (164, 135, 101, 255)})
    assert main(["index", "georeference", str(path), "--bounds", "-180", "-90", "180", "90", "--out", str(out)]) == 0
    with rasterio.open(out) as written:
        assert (written.read() == np.array([164, 135, 101])[:, None, None]).all()


def test_calibration_goes_on_where_it_stopped(pack: Path, blue_marble: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    def in_process(function, jobs, start, *given):  # type: ignore[no-untyped-def]
        for number, *_ in jobs:
            asked.append(number)
            if len(asked) == 3:
                raise KeyboardInterrupt
            yield number, float(number), number / 2

    told: list[tuple[int, int]] = []

    def run() -> calibration.WrongPlaces:
        return calibration.wrong_places(
            Mosaic(blue_marble), pack, 5, 0, tmp_path, lambda *at: told.append(at), in_process
        )

    with pytest.raises(KeyboardInterrupt):
        run()
    (log,) = tmp_path.iterdir()
    log.write_text(log.read_text() + "[4, 4.0")  # cut off
    found = run()
    assert asked == [0, 1, 2, 2, 3, 4] and told[-1] == (5, 5)
    np.testing.assert_array_equal(found.scores, range(5))
    np.testing.assert_array_equal(found.weights, np.arange(5) / 2)


def test_a_pack_is_calibrated_anew(pack: Path, blue_marble: Path, tmp_path: Path, capsys) -> None:
    """The landmarks stay as they are, byte by byte; only the pack's own mosaic will do; what fails leaves it whole."""
    again = tmp_path / "again"
    shutil.copytree(pack, again)
    before = read_manifest(again)
    command = ["index", "calibrate", str(again), "--frames", "12", "--seed", "5"]
    assert main([*command, "--mosaic", str(blue_marble)]) == 0
    assert "accepts nothing: too few mirrored views" in capsys.readouterr().err  # 12 are too few
    after = open_pack(again).manifest  # every byte is checked
    assert after["files"] == before["files"] and after["landmarks"] == before["landmarks"]
    assert after["calibration_frames"] == 12 and after["recognition"] != before["recognition"]

    other = tmp_path / "other.tif"
    shutil.copyfile(blue_marble, other)
    assert main([*command, "--mosaic", str(other)]) == 2
    assert f"give it {blue_marble.name}" in capsys.readouterr().err
    assert open_pack(again).manifest == after and sorted(path.name for path in tmp_path.iterdir()) == [
        "again",
        "other.tif",
    ]


@pytest.mark.parametrize("untold, told", [(3.0, 5.5), (7.0, 4.0)])
def test_a_pack_is_calibrated_for_frames_told_a_place_too(
    untold: float, told: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a mirrored view counts what it shows told nothing or told the place that it mirrors, whichever is more."""
    where = []

    class Mirrored:
        camera = None

        def knowledge(self, prior: Prior | None = None) -> Prior | None:
            return prior

        def view_of_rectified(self, rectified: None, camera: None) -> None:
            return None

        def recognitions(self, view: None, camera: None, known: Prior | None, evidence: Evidence) -> list:
            where.append(known and (known.lat_deg, known.lon_deg))
            weight = told if known else untold
            evidence.hypotheses = [SimpleNamespace(score=10 * weight)]
            return [SimpleNamespace(pose=None, weight=99.0), SimpleNamespace(pose="a pose", weight=weight)]

    monkeypatch.setattr(calibration, "mirrored_view", lambda *_: None)
    monkeypatch.setattr(calibration, "_worker", {"mosaic": None, "localizer": Mirrored()})
    assert calibration._score((7, (12.0, 34.0), 0)) == (7, 10 * untold, max(untold, told))
    assert where == [None, (12.0, 34.0)]


def test_a_mosaic_too_coarse_is_refused(blue_marble: Path, mission_file: Path, tmp_path: Path, capsys) -> None:
    text = mission_file.read_text().replace("gsd_m: 7400", "gsd_m: 900")
    (mission_file.parent / "fine.yaml").write_text(text)
    command = ["index", "build", "--mission", str(mission_file.parent / "fine.yaml"), "--mosaic", str(blue_marble)]
    assert main([*command, "--out", str(tmp_path / "p")]) == 2
    assert "finer mosaic" in capsys.readouterr().err and not (tmp_path / "p").exists()


def test_missions_round_trip(mission_file: Path, tmp_path: Path) -> None:
    mission = load_mission(mission_file)
    (tmp_path / "m.yaml").write_text(mission_yaml(mission, str(mission_file.parent / "camera.yaml")))
    again = load_mission(tmp_path / "m.yaml")
    assert (again.orbit, again.latitude_band_deg, again.gsd_m) == (mission.orbit, mission.latitude_band_deg, 7400)
    assert again.down_cam == (0, 0, 1)


@pytest.mark.parametrize("told", ["2e-5", "+.2e-4", "2E-05"])
def test_a_number_needs_no_dot_before_its_exponent(mission_file: Path, tmp_path: Path, told: str) -> None:
    text = MISSION.replace("camera.yaml", str(mission_file.parent / "camera.yaml"))
    (tmp_path / "m.yaml").write_text(text.replace("1.0e-4", told))
    assert load_mission(tmp_path / "m.yaml").false_fix_probability == 2e-5


def test_a_mission_mounts_its_camera(mission_file: Path, tmp_path: Path) -> None:
    text = MISSION.replace("camera.yaml", str(mission_file.parent / "camera.yaml"))
    (tmp_path / "m.yaml").write_text(text + "off_nadir_deg: 30\noff_nadir_direction_deg: 90\n")
    mission = load_mission(tmp_path / "m.yaml")
    # The ground recedes to the right: the nadir lies to the left.
    np.testing.assert_allclose(mission.down_cam, [-0.5, 0, np.sqrt(0.75)], atol=1e-12)
    (tmp_path / "again.yaml").write_text(mission_yaml(mission, str(mission_file.parent / "camera.yaml")))
    assert load_mission(tmp_path / "again.yaml").down_cam == mission.down_cam


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("gsd_m:", "gsdm:", r"mission\.yaml:\d+: .*(gsd_m|gsdm)"),
        ("gsd_m: 7400", "gsd_m: fine", r":7: gsd_m: must be a number"),
        ("altitude_km: [690, 710]", "altitude_km: [710, 690]", "wrong order"),
        ("{pack_mb: 4}", "{pack_mb: 4, speed: 3}", r"budget: unknown key 'speed'"),
        ("name: wide-700km", "name: wide-700km\nname: b", "given twice"),
        ("[10, 50]", "[10, 150]", "outside"),
        ("camera: camera.yaml", "camera: gone.yaml", "gone.yaml"),
        ("budget: {pack_mb: 4}", "budget: 4", "must be a mapping"),
        ("gsd_m: 7400", "gsd_m: 7400\noff_nadir_deg: 55", "off_nadir_deg: from 710 km a camera 55 degrees off nadir"),
        ("gsd_m: 7400", "gsd_m: 7400\noff_nadir_deg: steep", ":8: off_nadir_deg: must be a number"),
        ("gsd_m: 7400", "gsd_m: 7400\noff_nadir_direction_deg: 90", "give off_nadir_deg too"),
        ("gsd_m: 7400", "gsd_m: !!python/name:os.system", ":7: gsd_m: could not determine a constructor"),
        ("gsd_m: 7400", "gsd_m: 7400\n? [a]\n: 1", ":8: a key must be a word"),
        ("gsd_m: 7400", "gsd_m: " + "[" * 3000 + "]" * 3000, "not YAML: .*recursion"),
        ("gsd_m: 7400", "gsd_m: [" + "x, " * 2000 + "x]", r"gsd_m: must be a number, not \['x', 'x', 'x', .{1,50}$"),
    ],
)
def test_mistyped_missions_name_key_and_line(mission_file: Path, old: str, new: str, says: str) -> None:
    from onboard import NadirError

    path = mission_file.parent / "mistyped" / "mission.yaml"
    path.parent.mkdir(exist_ok=True)
    camera = mission_file.parent / "camera.yaml"
    text = MISSION.replace(old, new)
    path.write_text(text if "gone" in new else text.replace("camera.yaml", str(camera)))
    with pytest.raises(NadirError, match=says) as caught:
        load_mission(path)
    assert isinstance(caught.value, MissionError) or "gone" in new


def test_without_a_terminal_lines_tell_when_a_stage_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    said = StringIO()
    monkeypatch.setattr("sys.stderr", said)
    stages = Stages()
    stages("extract", 1, 4)
    assert not said.getvalue()  # nothing yet: a short build says nothing
    monkeypatch.setattr("index_builder.progress.LINE_EVERY_S", -1.0)
    stages("extract", 2, 4)
    stages("calibrate", 0, 9)
    stages.close()
    lines = said.getvalue().splitlines()
    assert len(lines) == 2 and lines[0].startswith("extract: 2 of 4") and "to go" in lines[0]
    assert lines[1].startswith("calibrate: 0 of 9")
