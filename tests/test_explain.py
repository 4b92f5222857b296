"""Why a frame got its fix or none: what is told is what was decided, and what is drawn lies where it belongs."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from onboard import Localizer, Status
from onboard.cli import main
from onboard.explain import Pairs, explain
from onboard.explain_drawing import Grid, numbered, turned_map
from onboard.geodesy import azimuth_deg, distance_m, unit_from_latlon
from onboard.landmarks import Catalogue
from onboard.recognition import Recognition
from onboard.verification import offsets_from
from tests.look import look

PLACE = (35.0, 40.0)


@pytest.fixture(scope="module")
def frame(localizer: Localizer, blue_marble: Path) -> np.ndarray:
    return look(blue_marble, localizer.camera, *PLACE, 700e3, 70.0)


def test_a_fix_is_explained(localizer: Localizer, frame: np.ndarray) -> None:
    evidence = localizer.examine(frame)
    told = explain(localizer, evidence)
    plain = localizer.localize(frame)
    assert told.fix.lat_deg == plain.lat_deg and told.fix.inliers == plain.inliers
    assert all(check.passed is not False for check in told.checks)
    best = told.places[0]
    assert distance_m(best.lat_deg, best.lon_deg, *PLACE) < 7400 and abs(best.heading_deg - 70) < 1
    assert best.recognised == told.fix.inliers and best.votes == told.fix.votes
    assert told.pairs.agrees.all() and best.recognised <= len(told.pairs.landmark)
    # Where both ends of a pair fall in the two panels.
    assert evidence.view is not None and evidence.camera is not None
    there, _ = offsets_from(best.unit, best.heading_deg, localizer.catalogue, told.pairs.landmark)
    here = told.pairs.ground_m(evidence.camera, evidence.view)
    apart_px = np.linalg.norm(there - here, axis=1) / localizer.mission.gsd_m
    assert np.median(apart_px) < 2 and apart_px.max() < 8


@pytest.mark.parametrize(
    "kind, failing",
    [
        ("dark", "light"),
        ("white", "saturation"),
        ("grey", "features"),
        ("cropped", "picture"),
        ("noise", "recognition"),
    ],
)
def test_the_failing_test_is_named(localizer: Localizer, rng: np.random.Generator, kind: str, failing: str) -> None:
    frames = {
        "dark": np.zeros((640, 640, 3), np.uint8),
        "white": np.full((640, 640, 3), 255, np.uint8),
        "grey": np.full((640, 640, 3), 128, np.uint8),
        "cropped": np.zeros((640, 480, 3), np.uint8),
        "noise": cv2.GaussianBlur(rng.integers(0, 255, (640, 640, 3), np.uint8), (0, 0), 1.5),
    }
    told = explain(localizer, localizer.examine(frames[kind]))
    assert not told.fix
    first = next(check for check in told.checks if check.passed is False)
    if kind == "noise":
        assert failing in {check.name for check in told.checks if check.passed is False}
    else:
        assert first.name == failing


def test_what_was_not_recognised_is_explained(localizer: Localizer, frame: np.ndarray) -> None:
    """A mirrored frame: places that were looked at landmark by landmark are told from those that were not."""
    evidence = localizer.examine(np.ascontiguousarray(frame[:, ::-1]))
    told = explain(localizer, evidence)
    looked_at = told.places[: len(evidence.recognitions)]
    others = told.places[len(looked_at) :]
    assert [place.recognised for place in looked_at] == [one.recognised for one in evidence.recognitions]
    assert others and all(place.recognised is None for place in others)
    assert len(told.places) == len(evidence.agreements)
    weights = [place.weight for place in others]
    assert weights == sorted(weights, reverse=True)
    # Nothing recognised at all: what is drawn are the matches of the heaviest agreement.
    evidence.recognitions = [replace(one, recognised=0, pose=None) for one in evidence.recognitions]
    pairs, heaviest = explain(localizer, evidence).pairs, evidence.agreements[0]
    assert len(pairs.landmark) == len(heaviest.matches) and pairs.agrees.sum() == heaviest.agree.sum()


def test_a_tilt_that_is_not_told_is_named(localizer: Localizer, blue_marble: Path) -> None:
    tilted = cv2.Rodrigues(np.array([np.radians(10.0), 0.0, 0.0]))[0]
    evidence = localizer.examine(look(blue_marble, localizer.camera, *PLACE, 700e3, 70.0, tilted))
    told = explain(localizer, evidence)
    assert [check.name for check in told.checks if check.passed is False] == ["told"]
    assert evidence.recognitions[0].pose is None and len(told.pairs.landmark) >= told.fix.inliers > 90


def test_a_deadline_is_explained(localizer: Localizer, frame: np.ndarray) -> None:
    told = explain(localizer, localizer.examine(frame, deadline_ms=1.0))
    assert [check.name for check in told.checks if check.passed is False] == ["timeout"]


def test_a_rival_is_named(pack: Path, frame: np.ndarray) -> None:
    """A second place that would be accepted as well, far away, made of the first one."""
    localizer = Localizer(pack)
    found = localizer.recognitions

    def doubled(*given: object) -> list[Recognition]:
        best, *_ = both = found(*given)  # type: ignore[arg-type]
        assert best.pose is not None
        both.insert(1, replace(best, pose=replace(best.pose, position_ecef_m=-best.pose.position_ecef_m)))
        return both

    localizer.recognitions = doubled  # type: ignore[method-assign]
    evidence = localizer.examine(frame)
    assert evidence.fix.status is Status.AMBIGUOUS
    told = explain(localizer, evidence)
    assert [check.name for check in told.checks if check.passed is False] == ["runner-up"]


def test_corrupt_memory_is_explained(pack: Path, frame: np.ndarray) -> None:
    localizer = Localizer(pack)
    localizer._scrubber.damage = "some array changed in memory"
    told = explain(localizer, localizer.examine(frame))
    assert [check.name for check in told.checks if check.passed is False] == ["pack corrupt"]


def test_the_map_turns_with_the_frame() -> None:
    """A spot of the north-up map falls where the catalogue's landmark at that place is drawn."""
    lat, lon, heading, gsd_m = 20.0, 30.0, 70.0, 1000.0
    there = (20.4, 30.7)
    none = np.empty(0)
    landmark = Catalogue(
        np.array(there[:1]), np.array(there[1:]), np.zeros(1), np.ones(1), unit_from_latlon(*there)[None],
        none, none, none, none,
    )  # fmt: skip
    bearing, way = np.radians(azimuth_deg(lat, lon, *there)), distance_m(lat, lon, *there)
    rgb = np.zeros((401, 401, 3), np.uint8)
    x, y = round(200 + way * np.sin(bearing) / gsd_m), round(200 - way * np.cos(bearing) / gsd_m)
    cv2.circle(rgb, (x, y), 3, (255, 255, 255), -1)
    grid = Grid(500, 400, (120.0, 90.0), gsd_m, 2.0)
    drawn = turned_map(rgb, heading, grid)[:, :, 0].astype(float)
    drawn[drawn < 250] = 0  # the bright spot alone
    rows, columns = np.nonzero(drawn)
    offsets, _ = offsets_from(unit_from_latlon(lat, lon), heading, landmark, np.zeros(1, np.int64))
    np.testing.assert_allclose((columns.mean(), rows.mean()), grid.pixels(offsets)[0], atol=2.0)


def test_pages_are_written(
    pack: Path, blue_marble: Path, frame: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "one" / "a.png"), frame[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "two" / "a.png"), np.zeros((640, 640, 3), np.uint8))
    out = tmp_path / "why"
    images = [str(tmp_path / "one"), str(tmp_path / "two")]
    command = ["localize", "--pack", str(pack), "--json", "--explain", str(out), "--mosaic", str(blue_marble), *images]
    assert main(command) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "a-2.explain.json", "a-2.explain.png", "a.explain.json", "a.explain.png"
    ]  # fmt: skip
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    told = json.loads((out / "a.explain.json").read_text())
    assert told["status"] == "FIX" and told["places"][0]["recognised"] == line["inliers"]
    assert len(told["pairs"]) >= line["inliers"] and all(pair["agrees"] for pair in told["pairs"])
    for name in ("a.explain.png", "a-2.explain.png"):
        page = cv2.imread(str(out / name))
        assert page is not None and page.shape[1] == 1760
    dark = json.loads((out / "a-2.explain.json").read_text())
    assert dark["lat_deg"] is None and dark["places"] == [] and dark["screening"]["high"] == 0
    # The rendered map is really there: colours that bare landmarks have not.
    bare = tmp_path / "bare"
    assert main(["localize", "--pack", str(pack), "--explain", str(bare), str(tmp_path / "one")]) == 0
    rendered, plain = (cv2.imread(str(folder / "a.explain.png"))[120:720, 900:1500] for folder in (out, bare))
    assert rendered.mean() < 150 < plain.mean()


@pytest.mark.parametrize("named", [["."], ["a.png"], ["link.png"]])
def test_the_pictures_own_folder_takes_no_pages(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, named: list[str]
) -> None:
    """Whether the folder, a picture or a link to one is named: what is there stays as it is."""
    there = tmp_path / "there"
    there.mkdir()
    cv2.imwrite(str(there / "a.png"), np.zeros((640, 640, 3), np.uint8))
    (there / "a.json").write_text("mine")
    (tmp_path / "link.png").symlink_to(there / "a.png")
    before = {path: path.read_bytes() for path in there.iterdir()}
    monkeypatch.chdir(tmp_path if named == ["link.png"] else there)
    assert main(["localize", "--pack", str(pack), "--explain", str(there), *named]) == 2
    told = capsys.readouterr()
    assert "holds pictures to explain" in told.err and "name another folder" in told.err and told.out == ""
    assert {path: path.read_bytes() for path in there.iterdir()} == before


def test_names_that_are_not_utf_8_are_drawn() -> None:
    """As a process of its own: OpenCV crashes on what is no character."""
    code = (
        "import numpy as np; from onboard.drawing import width_of, write; page = np.full((40, 200, 3), 255, np.uint8)\n"
        "write(page, 'a\\udcff', (5, 30), 20); assert page.min() < 100 and width_of('a\\udcff', 20) > width_of('a', 20)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_mosaic_alone_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["localize", "--mosaic", "f.tif", "x.png"]) == 2
    assert "--explain" in capsys.readouterr().err


def test_numbers_do_not_cover_one_another() -> None:
    """Of 200 pairs crowded into a corner, and one far away that does not agree."""
    at = np.vstack([np.random.default_rng(1).uniform(0, 120, (200, 2)), [[500.0, 500.0]]])
    pairs = Pairs(np.arange(201), at, np.arange(201) < 200)
    chosen = numbered(at, pairs)
    assert chosen[0] == 0 and 8 < len(chosen) <= 30 and 200 not in chosen
    off = np.abs(at[chosen][:, None] - at[chosen])
    assert ((off[..., 0] > 20) | (off[..., 1] > 14) | np.eye(len(chosen), dtype=bool)).all()
