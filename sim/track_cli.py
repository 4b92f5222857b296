"""``nadir sim track``: fly random orbits with the tracker and judge its states."""

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path

from onboard import plugins
from onboard.arguments import number, whole
from sim.crew_options import add_crew_options, crew_of
from sim.flight_options import add_flight_options
from sim.pointing import pointing_of


def add_track(actions: argparse._SubParsersAction) -> None:
    verb = actions.add_parser("track", help="random orbits with the tracker: first fix, position and velocity")
    add_flight_options(verb, "completes what is there")
    verb.add_argument("--pack", type=Path, help="flight pack (default: $NADIR_PACK, else the packaged one)")
    verb.add_argument("--orbits", type=whole(1), default=20, metavar="N", help="how many (default: %(default)s)")
    verb.add_argument(
        "--revolutions", type=number(0.01, 100_000), default=1.0, metavar="M", help="of each (default: %(default)s)"
    )
    verb.add_argument(
        "--mirrored", action="store_true", help="mirror every frame: nothing can be found, a state is wrong"
    )
    verb.add_argument(
        "--mount-told", action="store_true", help="tell the tracker how the camera is mounted along the track"
    )
    add_crew_options(verb)
    verb.add_argument("--json", action="store_true", help="the statistics on stdout")
    verb.set_defaults(run=run_track_verb)


def run_track_verb(arguments: argparse.Namespace) -> int:
    """Exit code 1 if any state was wrong, or any frame met an internal error."""
    began = time.monotonic()

    from onboard.localizer import Localizer
    from onboard.mission import load_mission
    from sim.configuration import configuration, pack_identity, pack_of
    from sim.flight_scenario import draw_orbits
    from sim.track_campaign import run_track_campaign, track_table

    mission = load_mission(arguments.mission)
    mosaic = plugins.service("mosaic")(*arguments.mosaic)
    scenario = draw_orbits(
        mission, arguments.orbits, arguments.revolutions, arguments.every_s, arguments.seed, arguments.start,
        arguments.clouds, pointing_of(arguments),
    )  # fmt: skip
    pack = pack_of(arguments.pack, mission)
    config = configuration(scenario, arguments.mosaic, pack_identity(pack)) | {
        "command": "track, looked back upon",
        "mirrored": arguments.mirrored,
        "mount_told": arguments.mount_told,
    }
    crew = crew_of(arguments)
    statistics = run_track_campaign(
        scenario,
        mosaic,
        partial(Localizer, pack, mission.camera),
        arguments.out,
        config,
        crew,
        arguments.mirrored,
        arguments.mount_told,
    )
    if arguments.json:
        print(json.dumps(statistics))
    print(track_table(statistics), file=sys.stderr)
    print(f"{time.monotonic() - began:.0f} s; {arguments.out}/flights.jsonl, statistics.json", file=sys.stderr)
    tracker = statistics["tracker"]
    return 1 if tracker["wrong"] or tracker["internal_errors"] else 0
