"""The command line as a user meets it: answers, exit codes, and one clear line for every mistake."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from onboard import plugins
from onboard.arguments import number, whole
from onboard.camera import Camera
from onboard.camera_files import load_camera, save_camera
from onboard.cli import main
from onboard.cli_localize import as_json
from onboard.errors import INTERNAL_ERROR, ImageError
from onboard.fix import Status, no_fix
from onboard.images import image_paths, read_image
from onboard.localizer import Localizer
from onboard.scrubber import Scrubber
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
    """Told worse, a tilt of nothing leaves the fix wider."""
    command = ["localize", "--json", "--pack", str(pack), str(photos / "a.png"), "--off-nadir-deg"]
    for tilt in (["0"], ["0", "--off-nadir-direction-deg", "90", "--off-nadir-sigma-deg", "4"]):
        assert main([*command, *tilt]) == 0
    usual, wide = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert usual["status"] == wide["status"] == "FIX" and wide["sigma_m"] > usual["sigma_m"]


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
    assert main(["localize", "--json", "--pack", str(pack), *names]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["image"], line["status"]) for line in told] == list(zip(names, ["BAD_FRAME", "FIX", "BAD_FRAME"]))
    assert "is not an image" in told[0]["reason"] and "No such file" in told[2]["reason"]


def test_what_does_not_come_of_the_picture_makes_the_exit_code_1(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Another camera's picture, damaged memory, a fault of the program; and a dark picture, which is none of these."""
    command = ["localize", "--json", "--pack", str(pack), str(tmp_path / "x.png")]
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((640, 480, 3), np.uint8))
    assert main(command) == 1
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((640, 640, 3), np.uint8))
    assert main(command) == 0
    with monkeypatch.context() as broken:
        broken.setattr(Localizer, "_localize", lambda *_: {}["gone"])
        assert main(command) == 1
    monkeypatch.setattr(Scrubber, "_look", lambda _: "some array changed in memory")
    assert main(command) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["status"] for line in told] == ["BAD_FRAME", "DARK", "BAD_FRAME", "PACK_CORRUPT"]
    assert told[2]["reason"].startswith(INTERNAL_ERROR)


def test_a_closed_standard_input_is_told(pack: Path) -> None:
    command = f"{sys.executable} -m onboard.cli localize --pack {pack} - <&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "") and "-: BAD_FRAME: standard input is closed" in done.stdout


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_and_signs_that_the_terminal_cannot_show_are_escaped(encoding: str, pack: Path, photos: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"}
    name = photos.parent / "a\udcff.png"
    name.write_bytes((photos / "a.png").read_bytes())
    command = [sys.executable, "-m", "onboard.cli", "localize", "--pack", str(pack), str(name)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0 and done.stderr == b""
    assert b"a\\udcff.png: FIX: " in done.stdout and ("°" if encoding == "utf-8" else "\\xb0").encode() in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["pack", "info"], ["localize", "-"]])
def test_output_that_is_full_is_one_clear_line(arguments: list[str], pack: Path) -> None:
    command = [sys.executable, "-m", "onboard.cli", *arguments]
    environment = {**os.environ, "NADIR_PACK": str(pack)}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=full, stderr=-1, check=False)
    assert (done.returncode, done.stderr) == (2, b"nadir: No space left on device\n")


def test_a_verb_that_cannot_be_imported_leaves_the_others(
    pack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A library that a package links to is missing, say: no ModuleNotFoundError."""

    class Broken:
        name = "serve"

        def load(self) -> None:
            raise ImportError("libzmq.so.5: cannot open shared object file")

    working = [entry for entry in plugins.verbs() if entry.name == "pack"]
    monkeypatch.setattr(plugins, "verbs", lambda: [*working, Broken()])
    assert main(["pack", "verify", str(pack)]) == 0
    assert main(["serve"]) == 2
    assert "nadir serve: cannot import what it needs (libzmq.so.5: cannot open" in capsys.readouterr().err


def test_an_altitude_that_the_mission_does_not_fly_is_noted(
    pack: Path, photos: Path, capsys: pytest.CaptureFixture
) -> None:
    for altitude_km, noted in ((710, False), (405, True)):
        assert main(["localize", "--pack", str(pack), "--altitude-km", str(altitude_km), str(photos / "a.png")]) == 0
        assert ("flies at" in capsys.readouterr().err) is noted


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_sensors_of_more_than_8_bits_are_read_as_bright_as_they_are(bits: int, tmp_path: Path) -> None:
    ramp = np.linspace(0, (1 << bits) - 1, 48 * 64).reshape(48, 64).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "raw.png"), ramp)
    grey = read_image(tmp_path / "raw.png")[..., 0]
    assert grey.dtype == np.uint8 and grey.min() == 0 and grey.max() == 255 and 126 < grey.mean() < 129
    cv2.imwrite(str(tmp_path / "float.tif"), ramp.astype(np.float32))
    with pytest.raises(ImageError, match="8 or 16 bits"):
        read_image(tmp_path / "float.tif")


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageError, match=r"a\.jpg: is empty"):
        read_image(tmp_path / "a.jpg")


def test_of_a_folder_the_pictures_are_taken_and_the_rest_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name in ("b.JPG", "a.png", "._a.png", ".hidden.heic", "frames.csv", "c.heic", "d.heic", "README"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "z.png").symlink_to(tmp_path / "gone.png")  # to be told of as unreadable
    assert list(image_paths([str(tmp_path)])) == [str(tmp_path / name) for name in ("a.png", "b.JPG", "z.png")]
    assert capsys.readouterr().err == f"nadir: note: {tmp_path}: files passed over: 3 (.heic, no suffix)\n"


def test_names_that_are_no_utf_8_make_json_all_the_same() -> None:
    json.dumps(as_json("a\udcff.png", no_fix(Status.DARK, "")), ensure_ascii=False).encode()


def test_a_mask_is_made_of_the_frames_that_can_be_read(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture
) -> None:
    for count in range(13):
        frame = rng.integers(90, 200, (48, 64), dtype=np.uint8)
        frame[:, :12] = 3  # a window's rim
        cv2.imwrite(str(tmp_path / f"{count}.png"), frame)
    (tmp_path / "5.png").write_bytes(b"cut")
    save_camera(Camera(64, 48, 60.0, 60.0, 31.5, 23.5), tmp_path / "c.yaml")
    call = ["camera", "mask", "--camera", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "o.yaml"), str(tmp_path)]
    assert main(call) == 1
    assert "5.png: is not an image" in capsys.readouterr().err
    mask = load_camera(tmp_path / "o.yaml").mask
    assert mask is not None and not mask[:, :12].any() and mask[:, 20:].all()


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
        (["localize", "--near", "91", "0", "10", "x.png"], "latitude and longitude in degrees"),
        (["localize", "--near", "1", "nan", "10", "x.png"], "latitude and longitude in degrees"),
        (
            ["localize", "--near", "1", "2", "0", "x.png"],
            "--near takes latitude and longitude in degrees, and",
        ),
        (["localize", "--near", "1", "2", "1e-300", "x.png"], "0.001 to 20000 kilometres"),
        (["localize", "--near", "1", "2", "1e308", "x.png"], "0.001 to 20000 kilometres"),
        (
            ["localize", "--off-nadir-deg", "75", "x.png"],
            "--off-nadir-deg: 75 degrees off nadir the camera's axis",
        ),
        (
            ["localize", "--off-nadir-deg", "58", "--altitude-km", "405", "x.png"],
            "--off-nadir-deg: 58 degrees off nadir the camera's axis meets the ground 64 degrees off its vertical",
        ),
        (
            [
                "index",
                "build",
                "--mission",
                "m.yaml",
                "--mosaic",
                "f.tif",
                "--out",
                "p",
                "--network",
                "rootsift",
                "--orientation",
                "o.onnx",
            ],
            "leave it out",
        ),
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


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["localize"],
        ["localize", "--altitude-km", "5", "x.png"],
        ["localize", "--pack", "", "x.png"],
        ["track", "--camera", "", "frames.csv"],
        ["localize", "--off-nadir-deg", "95", "x.png"],
        ["localize", "--off-nadir-deg", "0", "--off-nadir-sigma-deg", "9", "x.png"],
    ],
)
def test_wrong_usage_is_2_without_a_traceback(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and "--help" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["camera", "new", "./a.png", "--field-of-view-deg", "40", "--out", "a.png"],
        ["camera", "mask", "--camera", "c.yaml", "--out", "a.png", "."],
        ["camera", "mask", "--camera", "c.yaml", "--out", "a.yaml", "a_mask.png"],
        ["track", "--map", "a.png", "frames.csv"],
        ["track", "--map", "frames.csv", "."],
        ["track", "--map", "c.yaml", "--camera", "c.yaml", "."],
        ["index", "georeference", "a.png", "--bounds", "-180", "-90", "180", "90", "--out", "link.png"],
    ],
)
def test_nothing_is_written_over_what_it_is_made_from(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "a_mask.png"):
        cv2.imwrite(name, np.zeros((32, 32, 3), np.uint8))
    save_camera(Camera(32, 32, 30.0, 30.0, 15.5, 15.5), "c.yaml")
    Path("frames.csv").write_text("file,time_utc\na.png,2026-07-01T10:00:00Z\n")
    Path("link.png").symlink_to("a.png")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(arguments) == 2
    assert "would overwrite" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_principal_point_off_the_middle_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Of cx and cy swapped, say."""
    for point, noted in (((680.0, 510.0), False), ((485.5, 647.5), True)):
        save_camera(Camera(1296, 972, 1286.0, 1286.0, *point), tmp_path / "c.yaml")
        assert main(["localize", "--camera", str(tmp_path / "c.yaml"), str(tmp_path / "gone.png")]) == 1
        assert ("(485.5, 647.5) is off the middle by -13% of the width and 17%" in capsys.readouterr().err) is noted


@pytest.mark.parametrize(
    "convert, text, says",
    [
        (whole(0), "-1", "-1: must be 0 or more"),
        (whole(1, 9), "10", "10: must be 1 to 9"),
        (whole(1), "1.5", "1.5: must be a whole number"),
        (number(0), "inf", "inf: must be 0 or more"),
        (number(-1, 1), "nan", "nan: must be -1 to 1"),
        (number(0), "much", "much: must be a number"),
    ],
)
def test_numbers_out_of_bounds_are_told(convert: Callable[[str], float], text: str, says: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=says):
        convert(text)


def test_numbers_within_bounds_are_taken() -> None:
    assert whole(0)("0") == 0 and whole(1, 9)("9") == 9 and number(-1, 1)("-1e-1") == -0.1


def test_pack_verbs(pack: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["pack", "info", str(pack)]) == 0
    told = capsys.readouterr().out
    assert "wide-700km" in told and "bmng.tif" in told and "landmarks_codes.npy" in told
    assert main(["pack", "verify", str(pack)]) == 0


def test_pack_info_shows_no_mission_that_was_changed(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    copy = Path(shutil.copytree(pack, tmp_path / "pack"))
    mission = copy / "mission.yaml"
    mission.write_text(mission.read_text().replace("wide-700km", "wide-800km"))
    assert main(["pack", "info", str(copy)]) == 2
    told = capsys.readouterr()
    assert "mission.yaml: block 0 (byte 0) is damaged" in told.err and "wide-800km" not in told.out


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


@pytest.mark.parametrize(
    "lens",
    [["--focal-mm", "50", "--sensor-width-mm", "36"], ["--field-of-view-deg", str(2 * np.degrees(np.arctan(0.36)))]],
)
def test_a_camera_file_from_a_lens(tmp_path: Path, photos: Path, lens: list[str]) -> None:
    out = tmp_path / "new" / "lens.yaml"
    assert main(["camera", "new", str(photos / "a.png"), *lens, "--out", str(out)]) == 0
    camera = load_camera(out)
    assert (camera.width, camera.height, camera.name, camera.cx, camera.cy) == (640, 640, "lens", 319.5, 319.5)
    assert camera.fx == camera.fy == pytest.approx(640 * 50 / 36)


@pytest.mark.parametrize(
    "lens", [[], ["--focal-mm", "50"], ["--focal-mm", "50", "--sensor-width-mm", "36", "--field-of-view-deg", "40"]]
)
def test_a_lens_is_told_in_one_way(
    tmp_path: Path, photos: Path, lens: list[str], capsys: pytest.CaptureFixture
) -> None:
    assert main(["camera", "new", str(photos / "a.png"), *lens, "--out", str(tmp_path / "lens.yaml")]) == 2
    assert "give --focal-mm and --sensor-width-mm, or --field-of-view-deg" in capsys.readouterr().err
    assert not (tmp_path / "lens.yaml").exists()
