"""The demo's own parts; the whole of it is `make demo`."""

import numpy as np
import pytest

from onboard.cli import main
from onboard.mission import load_mission
from sim import demo


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
    assert len(demo.daylight_scenario(mission, 1).flights[0].times) == 1


def test_without_its_imagery_the_demo_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "IMAGERY", "mpl_toolkits.no_such_data")
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 2
    complaint = capsys.readouterr().err
    assert "pip install '.[demo]'" in complaint and len(complaint.splitlines()) == 1
    assert not (tmp_path / "demo").exists()


def test_the_demo_s_report_is_a_campaign_s(mission):
    scenario = demo.daylight_scenario(mission, 8)
    assert scenario.name == "demo" and "Blue Marble" in scenario.description
    assert len(scenario.flights) == 1
