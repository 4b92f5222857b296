"""Hardware in the loop: a scenario rendered here, solved by a target at the other end of a socket, and judged."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from tqdm import tqdm

from onboard import wire
from onboard.acceptance import Acceptance
from onboard.clock import Clock
from onboard.evidence import Evidence
from onboard.fix import Status, no_fix
from onboard.utc import nanoseconds, utc_time
from onboard.whole_file import write_whole
from sim.campaign import claim, conclude, require_flyable, told_altitude_m
from sim.crew import Crew
from sim.errors import SimError
from sim.flight_scenario import FlightScenario
from sim.footprint import swath_m
from sim.hil_drive import DROPPED, LOST, Answer, Patience, Sent, drive_fast, drive_realtime
from sim.judgement import fix_record
from sim.record_log import Record, RecordLog
from sim.scenario import Shot
from sim.station import Flown, Plan, fly
from sim.statistics import outcome, percentiles, right_within_m
from sim.target import Target
from sim.texture import Mosaic

GREETING_S = 10.0


def greet(target: Target, mission: str) -> Record:
    """The target's health; SimError if nobody answers, or if it flies another mission's pack."""
    health = target.health(GREETING_S)
    if health is None:
        raise SimError(
            f"no answer from {target.address} within {GREETING_S:g} s: is 'nadir serve --bind tcp://*:PORT' running "
            "there, and the port open?"
        )
    if health.get("mission") != mission:
        raise SimError(
            f"{target.address} serves a pack of the mission {health.get('mission')!r}, --mission is {mission!r}: give "
            "one the other's"
        )
    return health


def run_hil(
    scenario: FlightScenario,
    mosaic: Mosaic,
    target: Target,
    out: Path,
    config: Record,
    crew: Crew,
    realtime: bool,
    patience: Patience,
) -> Record:
    """Render all frames into ``out``, send them to the target, judge its answers; a rerun goes on where this stopped.

    Writes what a campaign writes (its statistics and report are of the frames that were answered), and hil.json: the
    way there and back. config: as of `campaign.run_campaign`. Returns the campaign's statistics with ``hil`` added.
    """
    begun = greet(target, scenario.mission.name)
    shots = scenario.shots()
    require_flyable(scenario, mosaic, shots)
    claim(out, config)
    truths, rendered = _render(scenario, mosaic, shots, out, crew)
    fixes = _drive(scenario, target, truths, rendered, out, realtime, patience)
    ended = target.health(GREETING_S)
    if ended is not None and ended["pack"] != begun["pack"]:
        raise SimError(f"{target.address} came back with another pack in the middle; start again with another --out")

    way = way_statistics(fixes, scenario.mission.latency_ms)
    way |= {"realtime": realtime, "target_at_start": begun, "target_at_end": ended}
    write_whole(out / "hil.json", json.dumps(way, indent=1, allow_nan=False) + "\n")
    answered = [number for number, fix in enumerate(fixes) if fix["status"] not in (DROPPED, LOST)]
    if not answered:
        raise SimError(f"{target.address} answered none of {len(fixes)} frames; {out}/fixes.jsonl says why")
    told = replace(scenario, description=f"{scenario.description} Solved by {target.address}: {way_text(way)}")
    statistics = conclude(told, mosaic, [truths[n] for n in answered], [fixes[n] for n in answered], out)
    return statistics | {"hil": way}


def way_statistics(fixes: Sequence[Record], budget_ms: float) -> Record:
    """What happened on the way to the target and back, from the records of its answers in order.

    latency_ms: from sending to reply; solve_ms: the runtime's own time; waited_ms: in the target's queue;
    within_budget: how many were answered in ``budget_ms``.
    """
    statuses = Counter(fix["status"] for fix in fixes)
    answered = [fix for fix in fixes if fix["status"] not in (DROPPED, LOST)]
    instances = [fix["instance"] for fix in fixes if fix["instance"] is not None]
    return {
        "frames": len(fixes),
        "answered": len(answered),
        "dropped": statuses[DROPPED],
        "lost": statuses[LOST],
        "sent_again": sum(fix["attempts"] - 1 for fix in fixes),
        "restarts": sum(one != other for one, other in pairwise(instances)),
        "budget_ms": budget_ms,
        "within_budget": sum(fix["latency_ms"] <= budget_ms for fix in answered),
        **{
            name: percentiles([fix[name] for fix in fixes if fix[name] is not None])
            for name in ("latency_ms", "solve_ms", "waited_ms")
        },
    }


def way_text(way: Record) -> str:
    """`way_statistics` for people, in a line."""
    latency = way["latency_ms"]
    times = "" if latency["median"] is None else (
        f"; from sending to reply median {latency['median']:.0f} ms, 99 % {latency['p99']:.0f} ms, of which solving "
        f"median {way['solve_ms']['median']:.0f} ms; {way['within_budget']} within the mission's "
        f"{way['budget_ms']:g} ms"
    )  # fmt: skip
    return (
        f"{way['answered']} of {way['frames']} frames answered, {way['dropped']} dropped by the target, {way['lost']} "
        f"lost, {way['sent_again']} sent again, {way['restarts']} restarts of the target{times}."
    )


class _NoRuntime:
    """Looks at nothing: frames are rendered before the target sees them."""

    acceptance = Acceptance.none(limit=1.0)

    def examine(self, frame: Any, **known: Any) -> Evidence:
        return Evidence(Clock(None))


def _render(
    scenario: FlightScenario, mosaic: Mosaic, shots: Sequence[Shot], out: Path, crew: Crew
) -> tuple[list[Record], dict[int, float]]:
    """Every frame's truth, in order, and the time (ms) it took to render; the pictures are files then."""
    truths, times = RecordLog(out / "truth.jsonl"), RecordLog(out / "rendered.jsonl")
    missing = [shot for shot in shots if shot.index not in times.records or shot.index not in truths.records]
    plan = Plan(scenario.mission.camera, mosaic, _NoRuntime, told_altitude_m(scenario.mission))
    flown = crew.work(partial(fly, plan.packed()), missing) if missing else iter(())
    result: Flown
    for result in tqdm(
        flown, "render", len(shots), initial=len(shots) - len(missing), unit="frame", disable=not sys.stderr.isatty()
    ):
        # Picture first, time last: a frame counts as rendered when its time is on disk.
        write_whole(out / result.truth["file"], result.jpeg)
        truths.append(result.truth)
        times.append({"index": result.truth["index"], "render_ms": result.fix["render_ms"]})
    return truths.finish(), {record["index"]: record["render_ms"] for record in times.finish()}


def _drive(
    scenario: FlightScenario,
    target: Target,
    truths: Sequence[Record],
    render_ms: dict[int, float],
    out: Path,
    realtime: bool,
    patience: Patience,
) -> list[Record]:
    """Every frame's fix record, in order; those on disk already are not sent again."""
    log = RecordLog(out / "fixes.jsonl")
    limit_m = right_within_m(swath_m(scenario.mission.camera, scenario.mission.altitude_m))
    altitude_m = list(told_altitude_m(scenario.mission))
    frames = [
        _sent(truth, _timestamp_ns(truths[0]), out, altitude_m) for truth in truths if truth["index"] not in log.records
    ]
    by_index = {truth["index"]: truth for truth in truths}
    counts = Counter(_ending(fix, limit_m) for fix in log.records.values())
    drive = drive_realtime if realtime else drive_fast
    with tqdm(
        desc="drive", total=len(truths), initial=len(truths) - len(frames), unit="frame", smoothing=0.05,
        disable=not sys.stderr.isatty(),
    ) as progress:  # fmt: skip
        for answer in drive(target, frames, patience, lambda text: tqdm.write(f"nadir: {text}", file=sys.stderr)):
            record = answer_record(by_index[answer.index], answer, render_ms[answer.index])
            log.append(record)
            counts[_ending(record, limit_m)] += 1
            progress.set_postfix(counts, refresh=False)
            progress.update()
    return log.finish()


def _sent(truth: Record, first_ns: int, out: Path, altitude_m: list[float]) -> Sent:
    timestamp_ns = _timestamp_ns(truth)
    known = {"timestamp_ns": timestamp_ns, "altitude_m": altitude_m}
    return Sent(truth["index"], (timestamp_ns - first_ns) / 1e9, out / truth["file"], known)


def _timestamp_ns(truth: Record) -> int:
    """When the frame was taken, in nanoseconds of UTC since 1970."""
    return nanoseconds(utc_time(truth["time_utc"]))


def answer_record(truth: Record, answer: Answer, render_ms: float) -> Record:
    """A line of fixes.jsonl: as of a campaign, and of the way there and back. Without an answer the status is DROPPED
    or LOST. SimError for an answer that is not of this frame."""
    way: Record = {"attempts": answer.attempts, "instance": answer.instance, "solve_ms": None, "waited_ms": None}
    if answer.reply is None:
        assert answer.lost is not None, "an answer has a reply or a reason"
        status, reason = answer.lost
        record = fix_record(truth, no_fix(Status.TIMEOUT, reason), 0.0, render_ms)
        return record | {"status": status, "latency_ms": None} | way
    assert answer.latency_ms is not None, "a reply has a latency"
    fix = wire.fix_of(answer.reply)
    if fix.timestamp_ns != _timestamp_ns(truth):
        raise SimError(f"frame {answer.index} is of {_timestamp_ns(truth)} ns, its answer of {fix.timestamp_ns} ns")
    way |= {"solve_ms": fix.timings_ms.get("total"), "waited_ms": answer.reply["waited_ms"]}
    return fix_record(truth, fix, answer.latency_ms, render_ms) | way


def _ending(fix: Record, limit_m: float) -> str:
    """For the progress bar: right, wrong, no fix, dropped, lost."""
    if fix["status"] in (DROPPED, LOST):
        return str(fix["status"].lower())
    return {"none": "no fix"}.get(outcome(fix, limit_m), outcome(fix, limit_m))
