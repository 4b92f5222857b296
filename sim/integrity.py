"""Several campaigns with one pack together: how often fixes were wrong, and whether their stated chance is honest."""

import json
from dataclasses import dataclass
from pathlib import Path

from sim.campaign import read_config
from sim.errors import SimError
from sim.hil_drive import DROPPED, LOST
from sim.proportion import at_most
from sim.record_log import Record
from sim.reliability import reliability
from sim.statistics import outcome


@dataclass(frozen=True, eq=False)
class Flights:
    """What is read of a campaign's directory: the frames that were answered. limit_m: within which a fix is right."""

    config: Record
    truths: list[Record]
    fixes: list[Record]
    limit_m: float


def integrity(folders: list[Path]) -> Record:
    """Of all answered frames of finished campaigns: frames, solved and wrong with their 95 % bound, altogether and by
    group, and `reliability`. Raises SimError where a directory holds no finished campaign, where packs, cameras or
    limits differ, or where two hold the same frames."""
    campaigns = [_read(folder) for folder in folders]
    first = campaigns[0]
    for folder, campaign in zip(folders, campaigns):
        flown, alike = _flown_with(campaign.config), _flown_with(first.config)
        for key in alike:
            if flown[key] != alike[key]:
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


def _flown_with(config: Record) -> Record:
    """What must be the same of campaigns that are added up. A pack is known by its manifest, wherever it lies: what a
    target serves has no name here."""
    return {key: config.get(key) for key in ("records", "camera")} | {"pack": config["pack"]["manifest_sha256"]}


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
        config = read_config(folder / "config.json")
        statistics = json.loads((folder / "statistics.json").read_text(encoding="utf-8"))
        truths, fixes = (
            [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
            for name in ("truth.jsonl", "fixes.jsonl")
        )
    except (OSError, ValueError) as error:
        raise SimError(f"{folder}: holds no finished campaign ({error})") from error
    # A frame that was lost on its way proves nothing of the runtime.
    answered = [n for n, fix in enumerate(fixes) if fix["status"] not in (DROPPED, LOST)]
    limit_m = statistics["right_within_m"]
    return Flights(config, [truths[n] for n in answered], [fixes[n] for n in answered], limit_m)
