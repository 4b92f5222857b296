"""``nadir sim validate``: photographs of a real camera beside what the simulator makes of the same places."""

import argparse
import json
import sys
from pathlib import Path

from onboard import plugins
from onboard.arguments import whole


def add_validate(actions: argparse._SubParsersAction) -> None:
    verb = actions.add_parser("validate", help="real photographs beside simulated ones: a sheet and statistics")
    verb.add_argument("--frames", required=True, type=Path, metavar="DIR", help="holds frames.csv and the pictures")
    verb.add_argument("--mosaic", required=True, nargs="+", type=Path, metavar="F.tif", help="what is rendered")
    verb.add_argument("--out", required=True, type=Path, metavar="DIR", help="a rerun completes what is there")
    verb.add_argument(
        "--pack", type=Path, help="flight pack of the camera (default: $NADIR_PACK, else the packaged one)"
    )
    verb.add_argument("--seed", type=whole(0), default=0, help="another seed, other weather and sensors (default: 0)")
    verb.add_argument("--json", action="store_true", help="the comparison on stdout")
    verb.set_defaults(run=run_validate)


def run_validate(arguments: argparse.Namespace) -> int:
    from onboard.identity import file_identity
    from onboard.localizer import Localizer
    from onboard.pack import default_pack
    from sim.configuration import pack_identity, versions
    from sim.validation import validate
    from sim.validation_comparison import table

    mosaic = plugins.service("mosaic")(*arguments.mosaic)
    pack = Path(arguments.pack or default_pack()).absolute()
    config = {
        "command": "validate",
        "mosaics": [file_identity(path) for path in arguments.mosaic],
        "pack": pack_identity(pack),
        "seed": arguments.seed,
        "versions": versions(),
    }
    comparison = validate(arguments.frames, mosaic, Localizer(pack), arguments.out, config, arguments.seed)
    if arguments.json:
        print(json.dumps(comparison))
    print(table(comparison), file=sys.stderr)
    print(f"{arguments.out}/sheet.png, comparison.json, real.jsonl, simulated.jsonl, frames/", file=sys.stderr)
    return 0
