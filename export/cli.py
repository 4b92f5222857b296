"""``nadir export``: stages from files to files that can be rerun alone, each in a module of its own."""

import argparse

from export import cli_evaluate, cli_global, cli_local, cli_quantize


def add_verb(subparsers: argparse._SubParsersAction) -> None:
    actions = subparsers.add_parser("export", help="train, quantize and measure the encoder").add_subparsers(
        metavar="ACTION", required=True
    )
    for verbs in (cli_global, cli_local, cli_quantize, cli_evaluate):
        verbs.add_actions(actions)
