"""How frames end, and the name, colour and sign each ending has in every picture and table."""

from dataclasses import dataclass

from sim.record_log import Record
from sim.statistics import outcome


@dataclass(frozen=True)
class Ending:
    """How an ending of a frame is drawn."""

    label: str
    colour: str
    marker: str = "o"


ENDINGS = {
    "right": Ending("right fix", "#0f8a5f"),
    "wrong": Ending("WRONG fix", "#d7263d", "X"),
    "NO_MATCH": Ending("no fix: no match", "#e08a1e"),
    "AMBIGUOUS": Ending("no fix: ambiguous", "#8e5bb5"),
    "FEATURELESS": Ending("no fix: featureless", "#4d94d6"),
    "DARK": Ending("no fix: dark", "#4a5866"),
    "SATURATED": Ending("no fix: saturated", "#c9a400"),
    "other": Ending("no fix: other", "#8c8c8c"),
}


def ending(fix: Record, limit_m: float) -> str:
    """The key of ENDINGS of a fix record."""
    result = outcome(fix, limit_m)
    if result != "none":
        return result
    return fix["status"] if fix["status"] in ENDINGS else "other"
