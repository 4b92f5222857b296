"""The demo's own parts; the whole of it is `make demo`."""

import re

import numpy as np
import pytest
from sim_worlds import NoOcean, WavyMosaic, small_mission

from onboard.cli import main
from onboard.fix import Fix, Status, no_fix
from onboard.geodesy import ecef_from_geodetic
from onboard.mission import load_mission
from sim import demo
from sim.campaign import run_campaign
from sim.demo_report import write_report
from sim.scenario import draw_scenario


@pytest.fixture
def mission():
    return load_mission(demo.MISSION_FILE)


def test_the_camera_works_by_day_where_the_map_reaches_and_one_time_in_eight_at_night(mission):
    shots = demo.daylight_scenario(mission, 40).shots()
    night = [shot for shot in shots if shot.sun_elevation_deg < -10]
    day = [shot for shot in shots if shot.sun_elevation_deg > 10]
    assert (len(day), len(night)) == (35, 5)
    south, north = mission.latitude_band_deg
    assert all(south < shot.lat_deg < north for shot in day)
    assert np.ptp([shot.lon_deg for shot in day]) > 250 and np.ptp([shot.lat_deg for shot in day]) > 80
    for shot in shots:
        assert mission.orbit.altitude_m[0] < shot.altitude_m < mission.orbit.altitude_m[1]
    assert len(demo.daylight_scenario(mission, 1).times) == 1


def test_without_its_imagery_the_demo_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "IMAGERY", "mpl_toolkits.no_such_data")
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 2
    complaint = capsys.readouterr().err
    assert "pip install 'nadir[demo]'" in complaint and len(complaint.splitlines()) == 1
    assert not (tmp_path / "demo").exists()
    assert main(["demo", "--out", str(tmp_path / "demo"), "--frames", "0"]) == 2


def test_the_report_stands_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("sim.renderer.OceanMask", NoOcean)
    scenario = draw_scenario(small_mission(), 4, 300.0, 1, np.datetime64("2026-07-01T10:00:00"))
    shots = iter(scenario.shots())

    class Localizer:
        def localize(self, frame, *, altitude_m=None):
            shot = next(shots)
            if shot.index % 2:
                return no_fix(Status.NO_MATCH, "5 < 9 & more")
            lat = shot.lat_deg + (0.0 if shot.index else 20.0)
            position = ecef_from_geodetic(lat, shot.lon_deg, shot.altitude_m)
            return Fix(
                Status.FIX, lat_deg=lat, lon_deg=shot.lon_deg, altitude_m=shot.altitude_m, heading_deg=0.0, sigma_m=1e3,
                position_ecef_m=position, covariance_ecef_m2=np.eye(3) * 1e6, false_fix_probability=1e-5, inliers=30,
            )  # fmt: skip

    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "manifest.yaml").write_bytes(bytes(1 << 20))
    statistics = run_campaign(scenario, WavyMosaic(), Localizer(), tmp_path / "campaign", {})
    page = write_report(tmp_path, scenario, WavyMosaic(), statistics).read_text()
    assert '<b style="color:#ff2e4d">1</b>wrong fixes' in page  # a wrong fix is shown first and in red
    assert "5 &lt; 9 &amp; more" in page and "1.0 MiB" in page
    assert "nadir localize --camera CAM.yaml --altitude-km 405 PHOTO.jpg" in page
    assert page.count("data:image/") >= 5
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "$" not in re.sub(r"base64,[^\"]*", "", page)
