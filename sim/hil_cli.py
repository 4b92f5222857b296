"""``nadir sim hil``: drive a runtime at the other end of a socket through an orbit, and check every answer."""

import argparse
import json
import sys

from onboard import plugins
from onboard.arguments import number, whole
from sim.flight_options import add_flight_options
from sim.pointing import pointing_of


def add_hil(actions: argparse._SubParsersAction) -> None:
    verb = actions.add_parser("hil", help="hardware in the loop: fly an orbit against 'nadir serve'")
    verb.add_argument("--target", required=True, metavar="ADDR", help="such as tcp://192.168.1.20:5555")
    add_flight_options(verb, "goes on where it stopped")
    verb.add_argument(
        "--rate", choices=("fast", "realtime"), default="fast",
        help="fast: the next frame when the answer is there; realtime: by the orbit's clock (default: %(default)s)",
    )  # fmt: skip
    verb.add_argument("--frames", type=whole(1), default=100, metavar="N", help="how many (default: %(default)s)")
    verb.add_argument(
        "--timeout-s", type=number(0.01, 86_400), default=5.0, help="for an answer (default: %(default)s)"
    )
    verb.add_argument(
        "--restart-s", type=number(0.01, 86_400), default=60.0, help="for a silent target (default: %(default)s)"
    )
    verb.add_argument("--workers", type=whole(1), metavar="N", help="processes that render (default: one a core)")
    verb.add_argument("--json", action="store_true", help="the statistics on stdout")
    verb.set_defaults(run=run_hil_verb)


def run_hil_verb(arguments: argparse.Namespace) -> int:
    """Exit code 1 if any fix was wrong."""

    from onboard.mission import load_mission
    from sim.cli import table
    from sim.configuration import configuration
    from sim.crew import LocalCrew
    from sim.flight_scenario import draw_scenario
    from sim.hil import greet, run_hil, way_text
    from sim.hil_drive import Patience
    from sim.target import Target

    mission = load_mission(arguments.mission)
    mosaic = plugins.service("mosaic")(*arguments.mosaic)
    scenario = draw_scenario(
        mission,
        arguments.frames,
        arguments.every_s,
        arguments.seed,
        arguments.start,
        arguments.clouds,
        pointing_of(arguments),
    )
    with Target(arguments.target) as target:
        pack = {"manifest_sha256": greet(target, mission.name)["pack"]["manifest_sha256"]}
        config = configuration(scenario, arguments.mosaic, pack) | {"rate": arguments.rate}
        patience = Patience(arguments.timeout_s, arguments.restart_s)
        realtime = arguments.rate == "realtime"
        statistics = run_hil(
            scenario, mosaic, target, arguments.out, config, LocalCrew(arguments.workers), realtime, patience
        )
    if arguments.json:
        print(json.dumps(statistics))
    print(table(statistics), file=sys.stderr)
    print(way_text(statistics["hil"]), file=sys.stderr)
    print(f"look at {arguments.out}/report.html; hil.json, fixes.jsonl, truth.jsonl, frames/", file=sys.stderr)
    return 1 if statistics["all"]["wrong"] else 0
