"""Random orbits flown with the tracker, in one directory that a rerun completes; and what they proved."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from onboard.errors import INTERNAL_ERROR
from onboard.tracker import Sighter
from onboard.whole_file import write_whole
from sim.campaign import claim, require_flyable, told_altitude_m
from sim.consistency import against_chi2
from sim.crew import Crew
from sim.first_fix import ACCURATE_M, lasts_a_revolution, median_s
from sim.flight_scenario import FlightScenario
from sim.footprint import swath_m
from sim.ocean import OceanMask
from sim.places import Ground
from sim.progress import Progress
from sim.proportion import at_most, rate
from sim.record_log import Record, RecordLog
from sim.statistics import percentiles, right_within_m
from sim.texture import Mosaic
from sim.track_flight import FlightJob, TrackPlan, flight_jobs, track

# A state that is far off by less than this many of its own sigmas has warned of it.
WARNED_SIGMAS = 4.0


def run_track_campaign(
    scenario: FlightScenario,
    mosaic: Mosaic,
    open_localizer: Callable[[], Sighter],
    out: Path,
    config: Record,
    crew: Crew,
    mirrored: bool = False,
    mount_told: bool = False,
) -> Record:
    """Fly ``scenario`` into ``out``: config.json, flights.jsonl (a line a flight), statistics.json; returns the last.
    A flight is one job: its frames follow one another. mirrored: every frame is shown mirrored, and any state is wrong;
    mount_told: the tracker is told how each flight's camera is mounted.
    """
    shots = scenario.shots()
    require_flyable(scenario, mosaic, shots)
    jobs = flight_jobs(scenario, shots, mount_told)
    claim(out, config)
    log = RecordLog(out / "flights.jsonl")
    missing = [job for job in jobs if job.number not in log.records]
    if missing:
        plan = TrackPlan(scenario.mission.camera, mosaic, open_localizer, told_altitude_m(scenario.mission), mirrored)
        with Progress(len(jobs), len(jobs) - len(missing), "flight") as progress:
            for record in crew.work(partial(track, plan.packed()), missing):
                log.append(record)
                progress.update()
    limit_m = right_within_m(swath_m(scenario.mission.camera, scenario.mission.altitude_m))
    ground = Ground(mosaic, OceanMask())
    over_land = [job.number for job in jobs if passes_over_land_by_day(job, ground)]
    statistics = track_statistics(log.finish(), limit_m, over_land, mirrored)
    write_whole(out / "statistics.json", json.dumps(statistics, indent=1, allow_nan=False) + "\n")
    return statistics


def passes_over_land_by_day(job: FlightJob, ground: Ground) -> bool:
    """Whether any frame of a flight's first revolution has mapped land at its nadir point and the Sun above it: what
    else could a fix be of?"""
    last = job.shots[0].time + np.timedelta64(round(job.revolution_s * 1e6), "us")
    lit = [(shot.lat_deg, shot.lon_deg) for shot in job.shots if shot.time <= last and shot.sun_elevation_deg > 0]
    return bool(lit) and bool(ground.land(*np.array(lit).T).any())


def track_statistics(
    flights: Sequence[Record], limit_m: float, over_land: Sequence[int], mirrored: bool = False
) -> Record:
    """What flights proved; over_land: numbers of those that `passes_over_land_by_day`. A state or fix is far when more
    than ``limit_m`` from the truth; a state is wrong when it is also farther than WARNED_SIGMAS of its own sigmas, or
    when it comes of mirrored frames. Figures of fixes are of the same frames, each localized alone. Shares within one
    revolution are None where a flight is shorter.
    """
    frames = [frame for flight in flights for frame in flight["frames"]]
    states = [frame for frame in frames if frame["error_m"] is not None]
    fixes = [frame["fix_error_m"] for frame in frames if frame["fix_error_m"] is not None]
    ends = [_first_revolution(flight)[-1] for flight in flights if _lasts_a_revolution(flight)]
    ended = [frame for frame in ends if frame["error_m"] is not None]
    by_day = [flight for flight in flights if flight["index"] in over_land]
    return {
        "flights": len(flights),
        "flights_over_land_by_day": len(by_day),
        "frames": len(frames),
        "limit_m": limit_m,
        "alone": {
            "solved": sum(error <= limit_m for error in fixes),
            "wrong": sum(error > limit_m for error in fixes),
            "error_m": percentiles([error for error in fixes if error <= limit_m]),
            "accurate_within_one_revolution": _within(flights, "fix_error_m"),
            "of_those_over_land_by_day": _within(by_day, "fix_error_m"),
        },
        "tracker": {
            "used": sum(frame["used"] for frame in frames),
            "used_without_own_fix": sum(frame["used"] and frame["fix_error_m"] is None for frame in frames),
            "internal_errors": sum(frame["reason"].startswith(INTERNAL_ERROR) for frame in frames),
            **_states(states, limit_m, mirrored),
            "accurate_within_one_revolution": _within(flights, "error_m"),
            "of_those_over_land_by_day": _within(by_day, "error_m"),
        },
        "after_one_revolution": {
            "flights": len(ends),
            "states": len(ended),
            "position_error_m": percentiles([frame["position_error_m"] for frame in ended]),
            "velocity_error_m_s": percentiles([frame["velocity_error_m_s"] for frame in ended]),
        },
        "afterwards": _states(
            [frame["afterwards"] for frame in frames if frame["afterwards"]["error_m"] is not None], limit_m, mirrored
        ),
    }


def _states(states: Sequence[Record], limit_m: float, mirrored: bool) -> Record:
    """What states prove: how many, far, wrong; their errors; their normalised errors squared."""
    far = [state for state in states if state["error_m"] > limit_m]
    wrong = [state for state in far if state["error_m"] > WARNED_SIGMAS * state["sigma_m"]]
    if mirrored:
        far, wrong = list(states), list(states)
    used, coasting = ([state for state in states if state["used"] is which] for which in (True, False))
    return {
        "states": len(states),
        "far": len(far),
        "wrong": len(wrong),
        "wrong_rate": rate(len(wrong), len(states)) | {"at_most95": at_most(len(wrong), len(states))},
        "error_m": percentiles([state["error_m"] for state in states]),
        "error_when_used_m": percentiles([state["error_m"] for state in used]),
        "nees": {
            # The camera's lasting error of pointing is in all frames of a flight.
            name: against_chi2([one["nees"] for one in which], 6, independent=False)
            for name, which in (("used", used), ("coasting", coasting))
        },
    }


def _lasts_a_revolution(flight: Record) -> bool:
    return lasts_a_revolution([frame["seconds"] for frame in flight["frames"]], flight["revolution_s"])


def _first_revolution(flight: Record) -> list[Record]:
    return [frame for frame in flight["frames"] if frame["seconds"] <= flight["revolution_s"]]


def _within(flights: Sequence[Record], key: str) -> Record | None:
    """The share of flights with an error of at most ACCURATE_M within one revolution, and the median of when the first
    one was (None: in half of them or more never). None where any flight is shorter."""
    if not all(map(_lasts_a_revolution, flights)):
        return None
    firsts: list[float | None] = []
    for flight in flights:
        good = (frame for frame in _first_revolution(flight) if frame[key] is not None and frame[key] <= ACCURATE_M)
        first = next(good, None)
        firsts.append(None if first is None else first["seconds"])
    return rate(len(firsts) - firsts.count(None), len(firsts)) | {"median_s": median_s(firsts)}


def track_table(statistics: Record) -> str:
    """The statistics for people."""
    alone, tracker, end, afterwards = (
        statistics[key] for key in ("alone", "tracker", "after_one_revolution", "afterwards")
    )

    def share(record: Record | None) -> str:
        if record is None:
            return "- (flown for less)"
        if record["value"] is None:
            return "-"
        middle = record["median_s"]
        when = ", in half of them or more never" if middle is None else f", median after {middle / 60:.0f} min"
        return f"{record['value']:.0%} ({record['low95']:.0%} to {record['high95']:.0%}){when}"

    def spread(record: Record, unit: str, scale: float) -> str:
        if record["median"] is None:
            return "-"
        return ", ".join(f"{name} {record[name] / scale:.1f} {unit}" for name in ("median", "p68", "p95", "max"))

    def nees(record: Record) -> str:
        means = {name: "-" if part["mean"] is None else f"{part['mean']:.1f}" for name, part in record["nees"].items()}
        return f"normalised error squared, mean (6 if honest): used {means['used']}, coasting {means['coasting']}"

    limit_km = statistics["limit_m"] / 1e3
    return "\n".join(
        [
            f"{statistics['flights']} orbits, {statistics['frames']} frames; far: beyond {limit_km:.0f} km",
            f"each frame alone: {alone['solved']} solved, {alone['wrong']} wrong; "
            f"{spread(alone['error_m'], 'km', 1e3)}",
            f"tracker:          {tracker['states']} frames with a state, {tracker['far']} far, {tracker['wrong']} wrong"
            f" (far and beyond {WARNED_SIGMAS:g} sigma), {tracker['internal_errors']} internal errors; "
            f"{spread(tracker['error_m'], 'km', 1e3)}",
            f"  frames used:    {tracker['used']}, {tracker['used_without_own_fix']} of them without their own fix; "
            f"{spread(tracker['error_when_used_m'], 'km', 1e3)}",
            "within 5 km in one revolution:",
            f"  a frame alone:  {share(alone['accurate_within_one_revolution'])}",
            f"  tracker:        {share(tracker['accurate_within_one_revolution'])}",
            f"of the {statistics['flights_over_land_by_day']} orbits that pass over land by day:",
            f"  a frame alone:  {share(alone['of_those_over_land_by_day'])}",
            f"  tracker:        {share(tracker['of_those_over_land_by_day'])}",
            f"after one revolution ({end['states']} of {end['flights']} with a state):",
            f"  position:       {spread(end['position_error_m'], 'km', 1e3)}",
            f"  velocity:       {spread(end['velocity_error_m_s'], 'm/s', 1)}",
            nees(tracker),
            f"looked back upon: {afterwards['states']} frames with a state, {afterwards['far']} far, "
            f"{afterwards['wrong']} wrong; {spread(afterwards['error_m'], 'km', 1e3)}",
            f"  {nees(afterwards)}",
        ]
    )
