"""``nadir sim integrity``: what several campaigns say together of wrong fixes."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from onboard.whole_file import write_whole

if TYPE_CHECKING:
    from sim.record_log import Record


def add_integrity(actions: argparse._SubParsersAction) -> None:
    verb = actions.add_parser("integrity", help="wrong fixes, and their stated chance, over several campaigns")
    verb.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="of 'nadir sim run', with one pack")
    verb.add_argument("--chart", type=Path, metavar="F.svg", help="draw the reliability diagram there")
    verb.add_argument("--json", action="store_true", help="the figures on stdout")
    verb.set_defaults(run=run_integrity_verb)


def run_integrity_verb(arguments: argparse.Namespace) -> int:
    """Exit code 1 if any fix was wrong."""
    from sim.charts import reliability_chart
    from sim.integrity import integrity

    found = integrity(arguments.folders)
    if arguments.chart and found["reliability"]:
        write_whole(arguments.chart, reliability_chart(found["reliability"]))
    if arguments.json:
        print(json.dumps(found))
    print(integrity_table(found), file=sys.stderr)
    return 1 if found["all"]["wrong"] else 0


def integrity_table(found: "Record") -> str:
    """The figures for people: by kind of frame, then the reliability diagram in numbers."""
    told = found["reliability"] or {"groups": {}, "levels": [], "frames": 0}
    lines = [f"{'frames':24}{'all':>7}{'solved':>8}{'wrong':>7}{'at most':>10}{'searched':>10}{'best wrong score':>18}"]
    for name, each in {"all": found["all"], **found["groups"]}.items():
        near = told if name == "all" and found["reliability"] else told["groups"].get(name)
        score = f"{near['searched']:10}{near['best_score']:18.1f}" if near else f"{'-':>10}{'-':>18}"
        lines.append(
            f"{name:24}{each['frames']:7}{each['solved']:8}{each['wrong']:7}{each['wrong_at_most95']:10.3%}{score}"
        )
    lines.append(
        f"\nof {told['frames']} frames whose best place is wrong, stated p or less (honest: a share of p or less)"
    )
    lines += [
        f"  p = {each['stated']:<8g}{each['frames']:6}  {each['low95']:.2e} to {each['high95']:.2e}"
        for each in told["levels"]
    ]
    return "\n".join(lines)
