"""``nadir serve``: the runtime behind a socket, for hardware in the loop and for software in other languages."""

import argparse
import hashlib
import signal
import sys

from onboard.cli_runtime import add_runtime_options, open_localizer
from onboard.describer import Describer
from onboard.orientation import OrientationNetwork
from onboard.pack import MANIFEST

_BIND = "tcp://127.0.0.1:5555"


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("serve", help="answer frames sent to a ZeroMQ socket (protocol: docs/hil.md)")
    add_runtime_options(parser)
    parser.add_argument(
        "--bind", default=_BIND, metavar="ADDR",
        help="where to listen (default: %(default)s; tcp://*:5555 for other machines, who need no password)",
    )  # fmt: skip
    parser.set_defaults(run=run, extra="serve")


def run(arguments: argparse.Namespace) -> int:
    from onboard.health import versions
    from onboard.server import Server
    from onboard.wire import VERSION

    localizer = open_localizer(arguments)
    pack = localizer.pack.path
    networks: dict[str, Describer | OrientationNetwork] = {"descriptors": localizer.describer}
    if localizer.orientation is not None:
        networks["directions"] = localizer.orientation
    about = {
        "mission": localizer.mission.name,
        "camera": {"width": localizer.camera.width, "height": localizer.camera.height},
        "pack": {"path": str(pack), "manifest_sha256": hashlib.sha256((pack / MANIFEST).read_bytes()).hexdigest()},
        **{what: {"runtime": one.runtime, "refused": one.refused} for what, one in networks.items()},
        "versions": {"protocol": VERSION, **versions()},
    }
    server = Server(localizer, arguments.bind, about)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    # The address ends the line, so that a script that starts the server can read it.
    print(f"nadir: serving {pack} at {server.endpoint}", file=sys.stderr, flush=True)
    for what, network in networks.items():
        print(f"nadir: {what}: {network.runtime}", file=sys.stderr, flush=True)
        for reason in network.refused:
            print(f"nadir: engine not used: {reason}", file=sys.stderr, flush=True)
    server.run()
    counts = server.health
    print(f"nadir: stopped: {counts.served} frames served, {counts.dropped} dropped", file=sys.stderr)
    return 0
