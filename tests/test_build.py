"""What a build refuses before it begins, and what it keeps of a pack that it replaces."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from index_builder import build, calibration
from index_builder.crew import Crew, OnCluster, WorkerError, on_all_cores
from index_builder.extraction import Landmarks, extract_landmarks
from index_builder.mosaic import Mosaic
from onboard.cli import main
from onboard.pack import open_pack
from tests.rasters import numbered, write_raster


@pytest.fixture
def nothing_is_extracted(monkeypatch: pytest.MonkeyPatch) -> None:
    def extract(*given: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(build, "extract_landmarks", extract)


@pytest.mark.usefixtures("nothing_is_extracted")
@pytest.mark.parametrize("coarse_first", [True, False])
def test_a_coarse_file_beside_a_fine_one_is_named(
    blue_marble: Path, mission_file: Path, tmp_path: Path, coarse_first: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    coarse = write_raster(tmp_path / "coarse.tif", numbered(180, 240), (-180, -90, 180, 90))
    files = [str(coarse), str(blue_marble)] if coarse_first else [str(blue_marble), str(coarse)]
    command = ["index", "build", "--mission", str(mission_file), "--out", str(tmp_path / "pack")]
    assert main([*command, "--mosaic", *files]) == 2
    assert "coarse.tif: has 166793 m a pixel, 11100 is the most" in capsys.readouterr().err


@pytest.mark.usefixtures("nothing_is_extracted")
@pytest.mark.parametrize("network", [[], ["--network", "rootsift"]])
def test_a_budget_too_small_is_refused_before_the_work(
    blue_marble: Path, mission_file: Path, tmp_path: Path, network: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["index", "build", "--mission", str(mission_file), "--mosaic", str(blue_marble), "--budget-mb", "0.32"]
    assert main([*command, "--out", str(tmp_path / "pack"), *network]) == 2
    assert "raise the budget" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_calibration_keeps_what_was_built_on_the_device(
    pack: Path, blue_marble: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tmp_path / "again"
    shutil.copytree(pack, again)
    for name in ("0123-trt10.3-sm87-b512.engine", "timing-trt10.3-sm87.cache"):
        (again / name).write_text(name)
    found = calibration.WrongPlaces(np.arange(40.0), np.arange(40.0))
    monkeypatch.setattr(build, "wrong_places", lambda *given: found)
    assert main(["index", "calibrate", str(again), "--mosaic", str(blue_marble), "--frames", "40", "--seed", "5"]) == 0
    for name in ("0123-trt10.3-sm87-b512.engine", "timing-trt10.3-sm87.cache"):
        assert (again / name).read_text() == name
    manifest = open_pack(again).manifest
    assert not any("trt" in name for name in manifest["files"])
    assert manifest["calibration_seed"] == 5 and manifest["seed"] == 0


def test_damaged_tiles_are_made_anew(blue_marble: Path, tmp_path: Path) -> None:
    def extract() -> np.ndarray:
        found = extract_landmarks(Mosaic(blue_marble), (40.0, 44.0), 7400.0, None, tmp_path, lambda done, total: None)
        assert found is not None
        return found.descriptors

    first = extract()
    kept = sorted(tmp_path.rglob("*.npz"), key=lambda path: path.stat().st_size)[-3:]
    whole = [path.read_bytes() for path in kept]
    middle = len(whole[2]) // 2
    damaged = b"", whole[1][:middle], whole[2][:middle] + b"nadir" + whole[2][middle + 5 :]
    for path, data in zip(kept, damaged, strict=True):
        path.write_bytes(data)
    np.testing.assert_array_equal(extract(), first)
    assert [path.read_bytes() for path in kept] == whole


def test_a_dask_cluster_finds_the_same_landmarks(blue_marble: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    def extract(work: Path, crew: Crew) -> Landmarks:
        found = extract_landmarks(Mosaic(blue_marble), (46.0, 47.0), 7400.0, None, work, lambda done, total: None, crew)
        assert found is not None
        return found

    here = extract(tmp_path / "here", on_all_cores)
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(**options, local_directory=str(tmp_path)) as cluster:
        there = extract(tmp_path / "there", OnCluster(cluster.scheduler_address))
    for name, values in vars(here).items():
        np.testing.assert_array_equal(getattr(there, name), values)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index_builder.crew.CONNECT_S", 0.5)
    with pytest.raises(WorkerError, match=r"--scheduler tcp://127\.0\.0\.1:9: no Dask scheduler answers"):
        list(OnCluster("tcp://127.0.0.1:9")(abs, [1], list))


def test_a_cluster_of_many_threads_a_worker_is_refused(tmp_path: Path) -> None:
    from distributed import LocalCluster

    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with (
        LocalCluster(**options, local_directory=str(tmp_path)) as cluster,
        pytest.raises(WorkerError, match="--nthreads 1"),
    ):
        list(OnCluster(cluster.scheduler_address)(abs, [1], list))
