"""The command line as a user meets it: answers, exit codes, and one clear line for every mistake."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from onboard.cli import main
from onboard.localizer import Localizer
from tests.look import look

FIELDS = {
    "image", "status", "lat_deg", "lon_deg", "altitude_m", "heading_deg", "sigma_m", "false_fix_probability",
    "inliers", "latency_ms", "reason",
}  # fmt: skip


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, localizer: Localizer, blue_marble: Path) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    frame = look(blue_marble, localizer.camera, 35.0, 40.0, 700e3, 10.0)
    cv2.imwrite(str(folder / "a.png"), frame[:, :, ::-1])
    cv2.imwrite(str(folder / "b.jpg"), np.zeros((640, 640, 3), np.uint8))
    return folder


def test_json_lines(pack: Path, photos: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["localize", "--json", "--pack", str(pack), "--altitude-km", "700", str(photos)]) == 0
    fix, dark = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert set(fix) == set(dark) == FIELDS
    assert fix["status"] == "FIX" and abs(fix["lat_deg"] - 35) < 0.1 and abs(fix["lon_deg"] - 40) < 0.1
    assert dark["status"] == "DARK" and dark["lat_deg"] is None and dark["false_fix_probability"] is None


def test_a_tilt_is_told(pack: Path, photos: Path, capsys: pytest.CaptureFixture) -> None:
    """Told worse, a tilt of nothing leaves the fix wider; one past the horizon is refused."""
    command = ["localize", "--json", "--pack", str(pack), str(photos / "a.png"), "--off-nadir-deg"]
    for tilt in (["0"], ["0", "--off-nadir-direction-deg", "90", "--off-nadir-sigma-deg", "4"], ["75"]):
        assert main([*command, *tilt]) == 0
    usual, wide, beyond = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert usual["status"] == wide["status"] == "FIX" and wide["sigma_m"] > usual["sigma_m"]
    assert beyond["status"] == "BAD_FRAME" and "passes the Earth by" in beyond["reason"]


def test_a_place_is_told(pack: Path, photos: Path, capsys: pytest.CaptureFixture) -> None:
    for near in (["34", "41", "100"], ["-34", "139", "100"]):
        assert main(["localize", "--json", "--pack", str(pack), str(photos / "a.png"), "--near", *near]) == 0
    right, wrong = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert right["status"] == "FIX" and abs(right["lat_deg"] - 35) < 0.1
    assert wrong["status"] == "NO_MATCH" and wrong["lat_deg"] is None


def test_text_and_standard_input(pack: Path, photos: Path) -> None:
    """As a process of its own: what a shell would see."""
    command = [sys.executable, "-m", "onboard.cli", "localize", "--pack", str(pack), "-"]
    done = subprocess.run(command, input=(photos / "a.png").read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0 and done.stderr == b""
    found = re.search(rb"FIX: ([0-9.]+)", done.stdout)
    assert found and abs(float(found[1]) - 35.0) < 0.06


def test_one_bad_image_does_not_stop_the_others(pack: Path, photos: Path, capsys: pytest.CaptureFixture) -> None:
    (photos.parent / "text.png").write_text("no picture")
    names = [str(photos.parent / "text.png"), str(photos / "a.png"), str(photos / "gone.png")]
    assert main(["localize", "--json", "--pack", str(pack), *names]) != 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 1 and "text.png" in told.err and "gone.png" in told.err


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["localize", "--pack", "nowhere", "x.png"], "nowhere: is no flight pack"),
        (["localize", "--camera", "gone.yaml", "x.png"], "gone.yaml: cannot be read"),
        (["localize", "."], "a directory without images"),
        (["pack", "verify", "nowhere"], "nowhere: is no flight pack"),
        (["index", "build", "--mission", "m.yaml", "--mosaic", "f.tif", "--out", "p"], "m.yaml: cannot be read"),
        (["index", "georeference", "gone.jpg", "--bounds", "-180", "-90", "180", "90", "--out", "o.tif"], "gone.jpg"),
        (["localize", "--off-nadir-direction-deg", "90", "x.png"], "add --off-nadir-deg"),
        (["localize", "--off-nadir-deg", "95", "x.png"], "must be 0 to 90"),
        (["localize", "--near", "91", "0", "10", "x.png"], "latitude and longitude in degrees"),
        (["localize", "--near", "1", "nan", "10", "x.png"], "latitude and longitude in degrees"),
        (["localize", "--near", "1", "2", "0", "x.png"], "kilometres above 0"),
        (["camera", "mask", "--camera", "c.yaml", "--out", "o.yaml", "x.png"], "c.yaml: cannot be read"),
    ],
)
def test_mistakes_get_one_clear_line(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert says in told.err and told.err.count("\n") == 1 and told.out == ""


@pytest.mark.parametrize("arguments", [[], ["fly"], ["localize"], ["localize", "--altitude-km", "5", "x.png"]])
def test_wrong_usage_is_2_without_a_traceback(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and "--help" in capsys.readouterr().err


def test_pack_verbs(pack: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["pack", "info", str(pack)]) == 0
    told = capsys.readouterr().out
    assert "wide-700km" in told and "bmng.tif" in told and "landmarks_codes.npy" in told
    assert main(["pack", "verify", str(pack)]) == 0


def test_onboard_alone_needs_no_ground_package() -> None:
    """With every ground package out of reach, `import onboard` and `nadir localize --help` still work."""
    block = ["torch", "rasterio", "pyproj", "sgp4", "astropy", "matplotlib", "tqdm", "scipy", "global_land_mask"]
    code = (
        "import sys\n"
        f"for name in {block!r}: sys.modules[name] = None\n"
        "import onboard\nfrom onboard.cli import main\n"
        "assert main(['index', 'build']) == 2\n"
        "main(['localize', '--help'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--altitude-km" in done.stdout, done.stderr
    assert "pip install '.[ground]'" in done.stderr
