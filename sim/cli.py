"""``nadir sim run``: fly a mission with the simulator and judge what the runtime makes of its frames."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onboard import plugins
from onboard.errors import MissingPackageError
from sim.errors import SimError

if TYPE_CHECKING:
    import numpy as np


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    actions = subparsers.add_parser("sim", help="fly missions in a simulator").add_subparsers(
        metavar="ACTION", required=True
    )
    run = actions.add_parser("run", help="an orbit campaign: frames, truth, fixes, statistics, a picture")
    run.add_argument("--mission", required=True, type=Path, metavar="M.yaml")
    run.add_argument("--mosaic", required=True, nargs="+", type=Path, metavar="F.tif", help="what the camera sees")
    run.add_argument("--out", required=True, type=Path, metavar="DIR", help="a rerun completes what is there")
    run.add_argument("--pack", type=Path, help="flight pack (default: $NADIR_PACK, else the packaged one)")
    run.add_argument("--frames", type=int, default=100, help="how many (default: %(default)s)")
    run.add_argument("--every-s", type=float, default=60.0, help="seconds between frames (default: %(default)s)")
    run.add_argument("--seed", type=int, default=0, help="another seed, another orbit and weather (default: 0)")
    run.add_argument("--start", metavar="ISO-UTC", help="time of the first frame (default: the TLE's epoch, or fixed)")
    run.add_argument("--clouds", type=float, metavar="0..1", help="cloud cover of every frame (default: drawn)")
    run.add_argument("--json", action="store_true", help="the statistics on stdout")
    run.set_defaults(run=run_campaign_verb)


def run_campaign_verb(arguments: argparse.Namespace) -> int:
    start = None if arguments.start is None else utc_time(arguments.start)
    if arguments.seed < 0:
        raise SimError(f"seed {arguments.seed} is negative")
    try:
        # Here and not above: `nadir localize` must start without astropy and matplotlib.
        from onboard.localizer import Localizer
        from onboard.mission import load_mission
        from onboard.pack import default_pack
        from sim.campaign import run_campaign
        from sim.configuration import configuration
        from sim.scenario import draw_scenario
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"'nadir sim' needs {error.name!r}: pip install 'nadir[ground]'") from error

    mission = load_mission(arguments.mission)
    scenario = draw_scenario(mission, arguments.frames, arguments.every_s, arguments.seed, start, arguments.clouds)
    mosaic = plugins.service("mosaic")(*arguments.mosaic)
    pack = arguments.pack or default_pack()
    localizer = Localizer(pack, mission.camera)
    config = configuration(scenario, arguments.mosaic, pack)
    statistics = run_campaign(scenario, mosaic, localizer, arguments.out, config)
    if arguments.json:
        print(json.dumps(statistics))
    print(table(statistics), file=sys.stderr)
    print(f"{arguments.out}/map.png, statistics.json, fixes.jsonl, truth.jsonl, frames/", file=sys.stderr)
    return 0


def utc_time(text: str) -> "np.datetime64":
    """A UTC time; raises SimError."""
    from datetime import datetime, timezone

    import numpy as np

    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise SimError(f"--start {text!r} is no ISO time such as 2026-07-01T12:00:00") from error
    if time.tzinfo is not None:
        time = time.astimezone(timezone.utc).replace(tzinfo=None)
    return np.datetime64(time, "us")


def table(statistics: dict[str, Any]) -> str:
    """The statistics for people, a line a class of frames."""
    lines = [f"{'frames':28}{'all':>6}{'solved':>8}{'wrong':>7}{'no fix':>8}   solved, 95 % interval   median error"]
    for name, summary in {"all": statistics["all"], **statistics["classes"]}.items():
        if not summary["frames"]:
            continue
        rate, median = summary["solved_rate"], summary["nadir_error_m"]["median"]
        interval = f"{rate['value']:6.1%}  {rate['low95']:6.1%} to {rate['high95']:6.1%}"
        error = "-" if median is None else f"{median / 1e3:.1f} km"
        lines.append(
            f"{name:28}{summary['frames']:6}{summary['solved']:8}{summary['wrong']:7}{summary['no_fix']:8}   {interval}"
            f"{error:>15}"
        )
    wrong, latency = statistics["all"]["wrong_rate"], statistics["latency_ms"]["median"]
    lines.append(f"right: within {statistics['right_within']}")
    lines.append(f"wrong fixes at 95 %: at most {wrong['high95']:.2%} of frames; latency: median {latency:.0f} ms")
    return "\n".join(lines)
