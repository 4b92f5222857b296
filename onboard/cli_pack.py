"""``nadir pack info`` and ``nadir pack verify``."""

import argparse
import sys
from pathlib import Path

from onboard.acceptance import UNCALIBRATED, Acceptance
from onboard.describer import describer_of
from onboard.orientation import orientation_of
from onboard.pack import default_pack, open_pack


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    actions = subparsers.add_parser("pack", help="look into a flight pack").add_subparsers(
        metavar="ACTION", required=True
    )
    for name, run, text in (("info", info, "contents, sizes, provenance"), ("verify", verify, "check every byte")):
        parser = actions.add_parser(name, help=text)
        parser.add_argument("pack", nargs="?", type=Path, help="default: $NADIR_PACK, else the packaged one")
        parser.set_defaults(run=run)


def info(arguments: argparse.Namespace) -> int:
    pack = open_pack(arguments.pack or default_pack())
    path, manifest = pack.path, pack.manifest
    acceptance = Acceptance.from_plain(manifest.get("recognition", {}))
    print(f"{path}\nformat {manifest['format']}, {manifest.get('built_with')}, seed {manifest.get('seed')}")
    print(pack.file("mission.yaml").decode(), end="")
    least = f"a fix takes {acceptance.least_score:.1f} of them recognised (a quarter each in a line)"
    print(f"landmarks {manifest.get('landmarks')}, {UNCALIBRATED if acceptance.nothing else least}")
    print(f"of the mirrored views 50, 90, 99, 100 % showed at most {manifest.get('wrong_recognition')}")
    for mosaic in manifest.get("mosaics", []):
        print(f"mosaic {mosaic['file']}, {mosaic['bytes']} bytes, sha256 {mosaic['sha256']}")
    sizes = {name: plain["bytes"] for name, plain in manifest["files"].items()}
    for name, size in sizes.items():
        print(f"{size:>12,}  {name}")
    print(f"{sum(sizes.values()):>12,}  together ({sum(sizes.values()) / 2**20:.2f} MiB)")
    return 0


def verify(arguments: argparse.Namespace) -> int:
    pack = open_pack(arguments.pack or default_pack())
    networks = {"descriptors": describer_of(pack, threads=1), "directions": orientation_of(pack, threads=1)}
    print(f"{pack.path}: {len(pack.files)} files, {pack.size:,} bytes, every checksum holds", file=sys.stderr)
    for what, network in networks.items():
        print(f"{what}: {network.runtime if network else 'of SIFT'}", file=sys.stderr)
        for reason in network.refused if network else ():
            print(f"engine not used: {reason}", file=sys.stderr)
    return 0
