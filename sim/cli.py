"""``nadir sim``: fly a mission with the simulator and judge what the runtime makes of its frames."""

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onboard import plugins
from onboard.arguments import number, whole
from sim.crew_options import add_crew_options, crew_of
from sim.errors import SimError
from sim.flight_options import EVERY_S, add_flight_options
from sim.hil_cli import add_hil
from sim.integrity_cli import add_integrity
from sim.pointing import pointing_of
from sim.season_cli import add_learn_season
from sim.track_cli import add_track
from sim.validation_cli import add_validate

if TYPE_CHECKING:
    from onboard.mission import Mission
    from sim.scenario import Scenario
    from sim.texture import Mosaic

SCENARIOS = {
    "orbit": "one orbit at a steady beat",
    "orbits": "random orbits, and how long each takes to its first fix",
    "land": "places drawn uniformly over land, by day",
    "reject": "ocean, overcast, night, limb, off-map, Moon-like, garbage: nothing to be found",
    "hard": "mirrored, repeated, painted ground, other worlds, streets, wrong scale or heading; deserts and fields",
}
_SENSORS = {"vertical_sigma_deg": None, "attitude_sigma_deg": None}
# Which options mean something in which scenario, and what they are worth unless given.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "orbit": {"frames": 100, "every_s": EVERY_S, "clouds": None, **_SENSORS},
    "orbits": {"orbits": 20, "revolutions": 1.0, "every_s": EVERY_S, "clouds": None, **_SENSORS},
    "land": {"frames": 100, "clouds": None, **_SENSORS},
    "reject": {"frames": 105},
    "hard": {"frames": 120},
}


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    actions = subparsers.add_parser("sim", help="fly missions in a simulator").add_subparsers(
        metavar="ACTION", required=True
    )
    run = actions.add_parser(
        "run",
        help="a campaign: truth, fixes, statistics and a report",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios:\n" + "\n".join(f"  {name:8} {text}" for name, text in SCENARIOS.items()),
    )
    add_flight_options(run, "completes what is there", every_s=None)
    run.add_argument("--scenario", choices=SCENARIOS, default="orbit", help="what to fly (default: %(default)s)")
    run.add_argument("--pack", type=Path, help="flight pack (default: $NADIR_PACK, else the packaged one)")
    run.add_argument(
        "--frames", type=whole(1), metavar="N", help="how many (default: 100; of reject: 105, of hard: 120)"
    )
    run.add_argument("--orbits", type=whole(1), metavar="N", help="of scenario orbits (default: 20)")
    run.add_argument("--revolutions", type=number(0.01, 100_000), metavar="M", help="of every orbit (default: 1)")
    run.add_argument(
        "--vertical-sigma-deg",
        type=number(1e-6, 30),
        metavar="S",
        help="a horizon sensor tells every frame's vertical so well",
    )
    run.add_argument(
        "--attitude-sigma-deg",
        type=number(1e-6, 30),
        metavar="S",
        help="a star tracker tells every frame's attitude so well",
    )
    add_crew_options(run)
    run.add_argument("--keep-frames", action="store_true", help="all (default: those of wrong fixes, and 60 others)")
    run.add_argument("--json", action="store_true", help="the statistics on stdout")
    run.set_defaults(run=run_campaign_verb)
    add_validate(actions)
    add_hil(actions)
    add_track(actions)
    add_integrity(actions)
    add_learn_season(actions)


def run_campaign_verb(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    options = _options(arguments)

    from onboard.localizer import Localizer
    from onboard.mission import load_mission
    from sim.attitude_sensors import AttitudeSensors
    from sim.campaign import run_campaign
    from sim.configuration import configuration, pack_identity, pack_of

    mission = load_mission(arguments.mission)
    mosaic = plugins.service("mosaic")(*arguments.mosaic)
    scenario = _scenario(arguments, options, mission, mosaic)
    pack = pack_of(arguments.pack, mission)
    config = configuration(scenario, arguments.mosaic, pack_identity(pack))
    sensors = AttitudeSensors(options.get("vertical_sigma_deg"), options.get("attitude_sigma_deg"))
    config |= {name: sigma for name, sigma in vars(sensors).items() if sigma is not None}
    opened = partial(Localizer, pack, mission.camera)
    statistics = run_campaign(
        scenario, mosaic, opened, arguments.out, config, crew_of(arguments), arguments.keep_frames, sensors
    )
    if arguments.json:
        print(json.dumps(statistics))
    print(table(statistics), file=sys.stderr)
    print(f"{time.monotonic() - began:.0f} s; look at {arguments.out}/report.html", file=sys.stderr)
    return 0


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The scenario's own options, given or default; SimError for one that another scenario owns, or out of range."""
    own = _DEFAULTS[arguments.scenario]
    for name in {name for options in _DEFAULTS.values() for name in options} - set(own):
        if getattr(arguments, name) is not None:
            users = " or ".join(scenario for scenario, options in _DEFAULTS.items() if name in options)
            raise SimError(f"--{name.replace('_', '-')} is for --scenario {users}, not {arguments.scenario}")
    if arguments.scenario not in ("orbit", "orbits") and (
        arguments.attitude is not None or arguments.tumble_deg_s is not None
    ):
        raise SimError(f"--attitude and --tumble-deg-s are for --scenario orbit or orbits, not {arguments.scenario}")
    given = {name: getattr(arguments, name) for name in own}
    return {name: own[name] if value is None else value for name, value in given.items()}


def _scenario(
    arguments: argparse.Namespace, options: dict[str, Any], mission: "Mission", mosaic: "Mosaic"
) -> "Scenario":
    from sim.flight_scenario import draw_orbits, draw_scenario, require_positive
    from sim.land_scenario import LandScenario
    from sim.ocean import OceanMask
    from sim.places import Ground
    from sim.reject_scenario import RejectScenario
    from sim.scenario import DEFAULT_START

    start, seed = arguments.start, arguments.seed
    if arguments.scenario == "orbit":
        return draw_scenario(
            mission, options["frames"], options["every_s"], seed, start, options["clouds"], pointing_of(arguments)
        )
    if arguments.scenario == "orbits":
        return draw_orbits(
            mission, options["orbits"], options["revolutions"], options["every_s"], seed, start, options["clouds"],
            pointing_of(arguments),
        )  # fmt: skip
    require_positive(options["frames"])
    ground, begin = Ground(mosaic, OceanMask()), DEFAULT_START if start is None else start
    if arguments.scenario == "land":
        return LandScenario(mission, options["frames"], seed, ground, begin, options["clouds"])
    return RejectScenario(mission, options["frames"], seed, ground, begin, hard=arguments.scenario == "hard")


def table(statistics: dict[str, Any]) -> str:
    """The statistics for people, a line a class of frames."""
    lines = [f"{'frames':28}{'all':>6}{'solved':>8}{'wrong':>7}{'no fix':>8}   solved, 95 % interval   median error"]
    groups = statistics["groups"] if len(statistics["groups"]) > 1 else {}
    for name, summary in {"all": statistics["all"], **groups, **statistics["classes"]}.items():
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
    stated = statistics["all"]["wrong_stated"]
    lines.append(
        f"wrong fixes at 95 %: at most {wrong['at_most95']:.2%} of frames (by what fixes state {stated:.2g} were due); "
        f"latency: median {latency:.0f} ms"
    )
    joint, first = statistics["consistency"]["joint"], statistics["first_fix"]
    if joint["n"]:
        lines.append(
            f"normalised error squared: mean {joint['mean']:.1f} (3 if the covariance is honest), "
            f"{joint['inside95']:.0%} inside the 95 % band ({statistics['all']['wrong']} wrong left out)"
        )
    if first is not None and len(first["flights"]) > 1:
        share, orbits = first["within_one_revolution"], len(first["flights"])
        if share is None:
            lines.append(
                f"first fix: in {orbits - first['never']} of {orbits} orbits, flown for less than a revolution"
            )
        else:
            lines.append(
                f"first fix within one revolution: {share['value']:.0%} of {orbits} orbits "
                f"({share['low95']:.0%} to {share['high95']:.0%})"
            )
    return "\n".join(lines)
