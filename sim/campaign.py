"""A campaign: a scenario rendered, localized and judged, in one directory that a rerun completes."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from onboard.mission import Mission
from onboard.whole_file import write_whole
from sim.attitude_sensors import NO_SENSORS, AttitudeSensors
from sim.coverage import require_mosaic
from sim.crew import Crew
from sim.errors import SimError
from sim.flight_check import require_earth_in_view
from sim.footprint import swath_m
from sim.geojson import footprints_geojson
from sim.oem import object_id_of, oem_text
from sim.progress import Progress
from sim.record_log import Record, RecordLog
from sim.report import write_report
from sim.scenario import EARTH, Flight, Scenario, Shot
from sim.station import Flown, FrameLocalizer, Plan, fly
from sim.statistics import campaign_statistics, outcome, right_within_m
from sim.texture import Mosaic

# What is known of the height of a near-circular orbit over an ellipsoid, beside the mission's own range.
ALTITUDE_SIGMA_M = 10e3
# Frames kept for people to look at, evenly spread, beside those of wrong fixes.
SAMPLE = 60


def run_campaign(
    scenario: Scenario,
    mosaic: Mosaic,
    open_localizer: Callable[[], FrameLocalizer],
    out: Path,
    config: Record,
    crew: Crew,
    keep_frames: bool = False,
    sensors: AttitudeSensors = NO_SENSORS,
) -> Record:
    """Fly a scenario into ``out``: truth.jsonl, fixes.jsonl, frames/, orbit.oem, footprints.geojson, statistics.json,
    map.png, report.html, config.json.

    open_localizer: makes the runtime, by pickle in every worker. config: all that the result depends on, as JSON; a
    directory made with another one is refused (SimError), one made with the same is completed. The result does not
    depend on the crew. keep_frames: all of them, not only those of wrong fixes and a sample. sensors: what the
    runtime is told beside the altitude. Returns the statistics.
    """
    shots = scenario.shots()
    require_flyable(scenario, mosaic, shots)
    claim(out, config)
    swath = swath_m(scenario.mission.camera, scenario.mission.altitude_m)
    plan = Plan(
        scenario.mission.camera, mosaic, open_localizer, told_altitude_m(scenario.mission), sensors=sensors
    )  # fmt: skip
    truths, fixes = _fly(shots, plan, crew, out, keep_frames, right_within_m(swath))
    return conclude(scenario, mosaic, truths, fixes, out)


def conclude(scenario: Scenario, mosaic: Mosaic, truths: list[Record], fixes: list[Record], out: Path) -> Record:
    """Write all that follows from the records of the frames; returns the statistics."""
    swath = swath_m(scenario.mission.camera, scenario.mission.altitude_m)
    statistics = campaign_statistics(truths, fixes, swath, [flight.revolution_s for flight in scenario.flights])
    outcomes = [outcome(fix, statistics["right_within_m"]) for fix in fixes]
    write_whole(out / "footprints.geojson", footprints_geojson(truths, fixes, outcomes))
    _write_orbits(out, scenario.mission, scenario.flights)
    write_whole(out / "statistics.json", json.dumps(statistics, indent=1, allow_nan=False) + "\n")
    write_report(out, scenario, mosaic, truths, fixes, statistics)
    return statistics


def require_flyable(scenario: Scenario, mosaic: Mosaic, shots: Sequence[Shot]) -> None:
    """SimError where the camera never sees the Earth, or the mosaic does not show what it sees."""
    require_earth_in_view(
        scenario.mission.camera,
        np.array([shot.position_ecef_m for shot in shots]),
        np.array([shot.ecef_from_cam for shot in shots]),
    )
    # A reject set may leave the map on purpose; what lies on an orbit may not.
    on_track = [shot for shot in shots if shot.flight is not None and shot.subject == EARTH]
    if on_track:
        require_mosaic(mosaic, on_track)


def claim(out: Path, config: Record) -> None:
    """Make the directory this campaign's, or find that it is; SimError where it is another's.

    Other ``versions`` (code and packages) than before are no other campaign: a comment mended overnight shall not cost
    the frames of a day. But they are told, and added to config.json under ``resumed_with``, which the report shows.
    """
    text = json.dumps(config, indent=1, allow_nan=False) + "\n"
    path = out / "config.json"
    if path.exists():
        there = read_config(path)
        wanted = json.loads(text)
        keys = [*wanted, *(key for key in there if key not in wanted)]
        differ = [key for key in keys if key not in ("versions", "resumed_with") and there.get(key) != wanted.get(key)]
        if differ:
            raise SimError(
                f"{out}: holds another campaign (different: {', '.join(differ)}); name another --out, or remove it"
            )
        versions, resumed_with = wanted.get("versions"), there.get("resumed_with", [])
        if versions not in (there.get("versions"), *resumed_with):
            print(
                f"warning: {out} was begun with other code or packages than are installed now; frames made from here "
                f"on are of these, as its config.json will say (resumed_with). Frames of one kind: another --out",
                file=sys.stderr,
            )
            write_whole(path, json.dumps(there | {"resumed_with": [*resumed_with, versions]}, indent=1) + "\n")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SimError(f"{out}: exists and is no campaign (no config.json); name another --out")
    (out / "frames").mkdir(parents=True)
    write_whole(path, text)


def read_config(path: Path) -> Record:
    """A campaign's config.json; SimError where it is none."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SimError(f"{path}: is no JSON ({error}); name another directory, or remove it") from error
    if not isinstance(config, dict):
        raise SimError(f"{path}: is no campaign's, but {config!r:.40}; name another directory, or remove it")
    return config


def told_altitude_m(mission: Mission) -> tuple[float, float]:
    """The altitude that the runtime is told with every frame, and its sigma."""
    low, high = mission.orbit.altitude_m
    return mission.altitude_m, float(np.hypot((high - low) / np.sqrt(12), ALTITUDE_SIGMA_M))


def _fly(
    shots: Sequence[Shot], plan: Plan, crew: Crew, out: Path, keep_all: bool, limit_m: float
) -> tuple[list[Record], list[Record]]:
    """The truth and fix records of every shot, in order; those that are on disk already are not made again."""
    truths, fixes = RecordLog(out / "truth.jsonl"), RecordLog(out / "fixes.jsonl")
    sample = set(range(len(shots)) if keep_all else np.linspace(0, len(shots) - 1, min(SAMPLE, len(shots))).astype(int))

    def keeps(fix: Record) -> bool:
        return fix["index"] in sample or outcome(fix, limit_m) == "wrong"

    def is_done(shot: Shot) -> bool:
        truth, fix = truths.records.get(shot.index), fixes.records.get(shot.index)
        return truth is not None and fix is not None and (not keeps(fix) or (out / truth["file"]).exists())

    missing = [shot for shot in shots if not is_done(shot)]
    flown: Iterable[Flown] = ()
    if missing:
        flown = crew.work(partial(fly, plan.packed()), missing)
    counts = {"right": 0, "wrong": 0, "none": 0}
    for fix in fixes.records.values():
        counts[outcome(fix, limit_m)] += 1
    with Progress(len(shots), len(shots) - len(missing)) as progress:
        for result in flown:
            # The picture first, the fix last: a frame counts as done when its fix is on disk.
            if keeps(result.fix):
                write_whole(out / result.truth["file"], result.jpeg)
            truths.append(result.truth)
            fixes.append(result.fix)
            counts[outcome(result.fix, limit_m)] += 1
            progress.update(solved=counts["right"], wrong=counts["wrong"])
    return truths.finish(), fixes.finish()


def _write_orbits(out: Path, mission: Mission, flights: Sequence[Flight]) -> None:
    """orbit.oem, or, an OEM being of one object, orbits/000.oem and so on."""
    object_id = object_id_of(mission.orbit)
    if len(flights) == 1:
        write_whole(out / "orbit.oem", oem_text(flights[0], mission.name, object_id))
    elif flights:
        (out / "orbits").mkdir(exist_ok=True)
        for number, flight in enumerate(flights):
            text = oem_text(flight, f"{mission.name} {number:03d}", object_id)
            write_whole(out / "orbits" / f"{number:03d}.oem", text)
