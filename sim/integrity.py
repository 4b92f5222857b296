"""Several campaigns with one pack together: how often fixes were wrong, and whether their stated chance is honest."""

import json
from dataclasses import dataclass
from pathlib import Path

from sim.errors import SimError
from sim.proportion import at_most
from sim.record_log import Record
from sim.reliability import reliability
from sim.statistics import outcome


@dataclass(frozen=True, eq=False)
class Flights:
    """What is read of a campaign's directory. limit_m: within which a fix is right."""

    config: Record
    truths: list[Record]
    fixes: list[Record]
    limit_m: float


def integrity(folders: list[Path]) -> Record:
    """Of all frames of finished campaigns: frames, solved and wrong with their 95 % bound, altogether and by group, and
    `reliability`. Raises SimError where a directory holds no finished campaign, where packs, cameras or limits differ,
    or where two hold the same frames."""
    campaigns = [_read(folder) for folder in folders]
    first = campaigns[0]
    for folder, campaign in zip(folders, campaigns):
        for key in ("records", "pack", "camera"):
            if campaign.config.get(key) != first.config.get(key):
                raise SimError(f"{folder}: has another {key} than {folders[0]}; what they prove cannot be added up")
        if campaign.limit_m != first.limit_m:
            raise SimError(f"{folder}: calls another distance wrong than {folders[0]}")
    seen: dict[tuple[str, int], Path] = {}
    for folder, campaign in zip(folders, campaigns):
        name, seed = campaign.config["scenario"], campaign.config["seed"]
        if (name, seed) in seen:
            raise SimError(f"{folder}: holds frames of {seen[name, seed]} again (scenario {name}, seed {seed})")
        seen[name, seed] = folder
    truths = [truth for campaign in campaigns for truth in campaign.truths]
    fixes = [fix for campaign in campaigns for fix in campaign.fixes]
    results = [outcome(fix, first.limit_m) for fix in fixes]
    groups = dict.fromkeys(truth["group"] for truth in truths)
    return {
        "campaigns": [{"folder": str(folder), "scenario": name, "seed": seed} for (name, seed), folder in seen.items()],
        "all": _counts(results),
        "groups": {
            name: _counts([result for truth, result in zip(truths, results) if truth["group"] == name])
            for name in groups
        },
        "reliability": reliability(truths, fixes, first.limit_m),
    }


def _counts(results: list[str]) -> Record:
    wrong = results.count("wrong")
    return {
        "frames": len(results),
        "solved": results.count("right"),
        "wrong": wrong,
        "wrong_at_most95": at_most(wrong, len(results)),
    }


def _read(folder: Path) -> Flights:
    try:
        config, statistics = (
            json.loads((folder / name).read_text(encoding="utf-8")) for name in ("config.json", "statistics.json")
        )
        truths, fixes = (
            [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
            for name in ("truth.jsonl", "fixes.jsonl")
        )
    except (OSError, ValueError) as error:
        raise SimError(f"{folder}: holds no finished campaign ({error})") from error
    return Flights(config, truths, fixes, statistics["right_within_m"])
