"""`nadir track` where there is no orbit to tell."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from onboard.cli import main
from onboard.localizer import Localizer
from tests.look import look


def test_the_only_fix_of_a_pass_is_told(
    pack: Path, localizer: Localizer, blue_marble: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    frame = look(blue_marble, localizer.camera, 35.0, 40.0, 700e3, 10.0)
    cv2.imwrite(str(tmp_path / "a.png"), frame[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((640, 640, 3), np.uint8))
    rows = "a.png,2026-07-01T10:00:00Z\nb.png,2026-07-01T10:01:00Z\n"
    (tmp_path / "frames.csv").write_text("file,time_utc\n" + rows)
    command = ["track", "--pack", str(pack), "--altitude-km", "700", str(tmp_path)]
    assert main([*command, "--json"]) == 0
    fix, dark = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (fix["status"], fix["frame_status"], fix["lat_deg"]) == ("SEARCHING", "FIX", None)
    alone = fix["frame_fix"]
    assert set(alone) == {"lat_deg", "lon_deg", "altitude_m", "heading_deg", "sigma_m", "false_fix_probability"}
    assert abs(alone["lat_deg"] - 35) < 0.1 and abs(alone["lon_deg"] - 40) < 0.1 and 0 < alone["sigma_m"] < 10e3
    assert (dark["status"], dark["frame_status"], dark["frame_fix"]) == ("SEARCHING", "DARK", None)
    assert main(command) == 0
    fix, dark = capsys.readouterr().out.splitlines()
    assert "SEARCHING: no orbit yet; FIX: 35." in fix and "±" in fix and "±" not in dark


def test_a_picture_of_another_camera_makes_the_exit_code_1(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((640, 480, 3), np.uint8))
    (tmp_path / "frames.csv").write_text("file,time_utc\na.png,2026-07-01T10:00:00Z\n")
    assert main(["track", "--pack", str(pack), "--json", str(tmp_path)]) == 1
    assert json.loads(capsys.readouterr().out)["frame_status"] == "BAD_FRAME"
