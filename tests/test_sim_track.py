"""Flights with the tracker: judged rightly, completed after an interruption, the same from one run to the next."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from orbit_worlds import ACCEPTANCE, ToldLocalizer, place, sighting, wrong_places
from sim_crews import SerialCrew
from sim_worlds import NoOcean, WavyMosaic, small_mission

from onboard.errors import INTERNAL_ERROR
from sim.errors import SimError
from sim.flight_scenario import draw_orbits
from sim.places import Ground
from sim.pointing import Pointing
from sim.subjects import Studio
from sim.track_campaign import passes_over_land_by_day, run_track_campaign, track_statistics, track_table
from sim.track_flight import flight_jobs

# Of frames 0 to 9 and 10 to 19, all but 2, 5, 8, 11, 14 and 17 bring a fix: an orbit from the second fix of each on.
STATES = 9 + 8


class CheatingSighter(ToldLocalizer):
    """Knows the truth by the time of the frame, 2 km off; sees nothing known on every third frame."""

    def __init__(self, scenario):
        super().__init__((90.0, 110.0))
        assert ACCEPTANCE is self.agreement_acceptance
        self.shots = {int(shot.time.astype("datetime64[ns]").astype(np.int64)): shot for shot in scenario.shots()}
        self.mission = SimpleNamespace(orbit=scenario.mission.orbit)

    def sight(self, frame, *, timestamp_ns=None, altitude_m=None, mount_heading_deg=None, deadline_ms=None):
        assert frame.dtype == np.uint8 and altitude_m[0] == 600e3
        shot = self.shots[timestamp_ns]
        rng = np.random.default_rng(shot.index)
        if shot.index % 3 == 2:
            return sighting(wrong_places(6, rng), altitude_m)
        off = rng.normal(0, 2e3, 3)
        return sighting([place(shot.position_ecef_m + off, shot.heading_deg, 40.0, rng, 2e3)], altitude_m)


class Ocean:
    """Sea everywhere."""

    def share(self, lat_deg, lon_deg, gsd_m):
        return np.ones(lat_deg.shape, np.float32)


def _scenario(orbits=2):
    return draw_orbits(small_mission(), orbits, 0.15, 90.0, 5, np.datetime64("2026-07-01T10:00:00"), 0.2)


def _run(out, crew=None, mirrored=False, mount_told=False):
    scenario = _scenario()
    return run_track_campaign(
        scenario, WavyMosaic(), lambda: CheatingSighter(scenario), out, {"seed": 5}, crew or SerialCrew(), mirrored,
        mount_told,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _set_up_here(monkeypatch):
    """No pickle: a cheat need not travel."""
    monkeypatch.setattr("sim.track_flight.TrackPlan.packed", lambda plan: plan)
    monkeypatch.setattr(
        "sim.track_flight._set_up",
        lambda plan: (plan, Studio(plan.camera, plan.mosaic, NoOcean()), plan.open_localizer()),
    )


def test_a_flight_is_judged(tmp_path):
    statistics = _run(tmp_path / "run")
    frames = [
        frame
        for line in (tmp_path / "run" / "flights.jsonl").read_text().splitlines()
        for frame in json.loads(line)["frames"]
    ]
    assert statistics["flights"] == 2 and statistics["frames"] == len(frames) == 20
    alone, tracker = statistics["alone"], statistics["tracker"]
    assert alone["wrong"] == tracker["wrong"] == tracker["far"] == 0
    assert alone["solved"] == sum(frame["frame"] % 3 != 2 for frame in frames)
    assert tracker["states"] == STATES and alone["solved"] - 2 <= tracker["used"] <= alone["solved"]
    assert tracker["accurate_within_one_revolution"] is None  # they are flown for less
    assert tracker["error_when_used_m"]["median"] < 4e3
    assert statistics["after_one_revolution"]["flights"] == 0
    told = track_table(statistics)
    assert (
        "2 orbits, 20 frames" in told
        and "tracker:        - (flown for less)" in told
        and f"of the {statistics['flights_over_land_by_day']} orbits" in told
    )


def test_looked_back_upon_every_frame_has_a_state(tmp_path):
    statistics = _run(tmp_path / "run")
    tracker, afterwards = statistics["tracker"], statistics["afterwards"]
    assert tracker["states"] < afterwards["states"] == 20 and afterwards["far"] == afterwards["wrong"] == 0
    assert afterwards["error_m"]["max"] < tracker["error_m"]["max"]
    assert afterwards["nees"]["used"]["n"] >= tracker["nees"]["used"]["n"] + 2  # the first frame of each, too
    assert "looked back upon: 20 frames with a state, 0 far, 0 wrong" in track_table(statistics)


def test_an_interrupted_campaign_is_completed(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        _run(out, SerialCrew(dies_at=1))
    crew = SerialCrew()
    statistics = _run(out, crew)
    assert crew.done == 1 and statistics["flights"] == 2
    again = SerialCrew()
    assert _run(out, again) == statistics and again.done == 0
    with pytest.raises(SimError, match="another campaign"):
        scenario = _scenario()
        run_track_campaign(scenario, WavyMosaic(), lambda: None, out, {"seed": 6}, SerialCrew())


def test_any_state_of_mirrored_frames_is_wrong(tmp_path):
    statistics = _run(tmp_path / "run", mirrored=True)
    assert statistics["tracker"]["states"] == statistics["tracker"]["wrong"] == STATES


def test_a_tracker_told_the_mount_knows_the_orbit_from_the_first_fix_on(tmp_path):
    tracker = _run(tmp_path / "run", mount_told=True)["tracker"]
    assert tracker["states"] == 20 and tracker["far"] == tracker["wrong"] == 0


def test_a_tumbling_camera_has_no_mount_to_be_told_of():
    scenario = draw_orbits(
        small_mission(), 1, 0.15, 90.0, 5, np.datetime64("2026-07-01T10:00:00"), 0.2, Pointing(tumble_deg_s=0.01)
    )
    with pytest.raises(SimError, match="held along the track"):
        flight_jobs(scenario, scenario.shots(), mount_told=True)


def _judged(error_m, sigma_m):
    state = {
        "used": False, "error_m": error_m, "sigma_m": sigma_m, "position_error_m": error_m, "velocity_error_m_s": 1.0,
        "nees": 6.0,
    }  # fmt: skip
    return state | {"afterwards": state}


def test_far_is_not_wrong_when_the_state_says_so():
    def frame(seconds, error_m, sigma_m, reason=""):
        return {"seconds": seconds, "reason": reason, "fix_error_m": None} | _judged(error_m, sigma_m)

    flights = [{"index": 0, "revolution_s": 100.0, "frames": [frame(0.0, 90e3, 30e3), frame(50.0, 90e3, 10e3)]}]
    statistics = track_statistics(flights, 25e3, [0])
    tracker = statistics["tracker"]
    assert (tracker["states"], tracker["far"], tracker["wrong"], tracker["internal_errors"]) == (2, 2, 1, 0)
    flights[0]["frames"].append(frame(75.0, None, None, f"{INTERNAL_ERROR}: IndexError"))
    assert "1 internal errors" in track_table(track_statistics(flights, 25e3, [0]))


def test_orbits_without_land_by_day_are_told_apart():
    scenario = _scenario(orbits=8)
    jobs = flight_jobs(scenario, scenario.shots())
    suns = np.array([[shot.sun_elevation_deg for shot in job.shots] for job in jobs])
    dry, wet = Ground(WavyMosaic(), NoOcean()), Ground(WavyMosaic(), Ocean())
    assert [passes_over_land_by_day(job, dry) for job in jobs] == (suns > 0).any(axis=1).tolist()
    assert 0 < sum(passes_over_land_by_day(job, dry) for job in jobs) < 8  # some by night only
    assert not any(passes_over_land_by_day(job, wet) for job in jobs)
    short = replace(jobs[0], revolution_s=1.0)  # of its frames only the first lies within one revolution
    assert passes_over_land_by_day(short, dry) == bool(suns[0, 0] > 0)


def test_shares_are_also_of_the_orbits_that_pass_over_land_by_day():
    def flight(index, error_m):
        frames = [
            {"seconds": seconds, "reason": "", "fix_error_m": error_m} | _judged(error_m, 1e3)
            for seconds in (0.0, 50.0, 150.0)
        ]
        return {"index": index, "revolution_s": 100.0, "frames": frames}

    flights = [flight(0, 1e3), flight(1, None), flight(2, 4e3), flight(3, 6e3)]
    alone = track_statistics(flights, 25e3, [0, 2, 3])["alone"]
    assert alone["accurate_within_one_revolution"]["value"] == 2 / 4
    assert alone["accurate_within_one_revolution"]["median_s"] is None  # half of them never
    assert alone["of_those_over_land_by_day"]["value"] == pytest.approx(2 / 3)
    assert alone["of_those_over_land_by_day"]["median_s"] == 0.0
    end = track_statistics(flights, 25e3, [0])["after_one_revolution"]
    assert end["flights"] == 4 and end["states"] == 3
    assert end["position_error_m"]["max"] == 6e3
    assert "of the 0 orbits that pass over land by day:\n  a frame alone:  -" in track_table(
        track_statistics(flights, 25e3, [])
    )
