"""Campaigns added up: wrong fixes are counted over all, and what does not belong together is refused."""

import json
from io import StringIO

import pytest

from onboard.cli import main
from sim.errors import SimError
from sim.integrity import integrity
from sim.progress import Progress


def _campaign(folder, seed, errors_m, pack="a"):
    """A finished campaign: a frame a given error, None where there was no fix; such frames score 8 or, last, 12."""
    folder.mkdir()
    config = {"records": 2, "scenario": "hard", "seed": seed, "pack": {"manifest_sha256": pack}, "camera": {}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "statistics.json").write_text(json.dumps({"right_within_m": 25e3}))
    truths, fixes = [], []
    for index, error_m in enumerate(errors_m):
        none = error_m is None
        truths.append({"index": index, "group": "deserts" if index % 2 else "other worlds"})
        fixes.append({
            "index": index, "status": "NO_MATCH" if none else "FIX", "error_m": error_m, "best_error_m": error_m,
            "best_score": 8.0 + 4.0 * (index == len(errors_m) - 1), "best_probability": 0.04 if none else 1e-5,
        })  # fmt: skip
    for name, records in (("truth", truths), ("fixes", fixes)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def test_campaigns_add_up(tmp_path, capsys):
    folders = [_campaign(tmp_path / "one", 1, [None] * 60), _campaign(tmp_path / "two", 2, [1e3, None, 9e5, None])]
    found = integrity(folders)
    assert (found["all"]["frames"], found["all"]["solved"], found["all"]["wrong"]) == (64, 1, 1)
    assert found["groups"]["deserts"]["wrong"] == 0 and found["groups"]["deserts"]["frames"] == 32
    assert found["groups"]["deserts"]["wrong_at_most95"] == pytest.approx(1 - 0.05 ** (1 / 32))
    told = found["reliability"]
    assert told["frames"] == 63 and told["best_score"] == 12.0  # the right fix tells nothing of false ones
    assert {each["stated"]: each["frames"] for each in told["levels"]}[0.05] == 63
    chart = tmp_path / "chart.svg"
    assert main(["sim", "integrity", *map(str, folders), "--chart", str(chart), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["all"]["wrong"] == 1 and "other worlds" in err and chart.read_bytes().startswith(b"<?xml")
    assert main(["sim", "integrity", str(folders[0])]) == 0


def test_campaigns_that_do_not_belong_together_are_refused(tmp_path):
    one = _campaign(tmp_path / "one", 1, [None])
    with pytest.raises(SimError, match="has another pack"):
        integrity([one, _campaign(tmp_path / "two", 2, [None], pack="b")])
    with pytest.raises(SimError, match="again"):
        integrity([one, _campaign(tmp_path / "three", 1, [None])])
    with pytest.raises(SimError, match="no finished campaign"):
        integrity([tmp_path / "none"])


def test_frames_lost_on_their_way_bound_nothing(tmp_path):
    flown = _campaign(tmp_path / "hil", 1, [None] * 4)
    text = (flown / "fixes.jsonl").read_text().replace("NO_MATCH", "LOST", 1).replace("NO_MATCH", "DROPPED", 1)
    (flown / "fixes.jsonl").write_text(text)
    found = integrity([flown])
    assert found["all"]["frames"] == 2 and found["reliability"]["frames"] == 2
    assert found["all"]["wrong_at_most95"] == pytest.approx(1 - 0.05 ** (1 / 2))


def test_a_pack_is_the_same_whatever_it_is_called(tmp_path):
    folders = [_campaign(tmp_path / "run", 1, [None]), _campaign(tmp_path / "hil", 2, [None])]
    config = json.loads((folders[0] / "config.json").read_text())
    config["pack"]["name"] = "leo-550km"  # a target in the loop tells the manifest alone
    (folders[0] / "config.json").write_text(json.dumps(config))
    assert integrity(folders)["all"]["frames"] == 2


def test_without_a_terminal_a_line_now_and_then_tells_when_it_ends(monkeypatch):
    monkeypatch.setattr("sim.progress.LINE_EVERY_S", 0.0)
    said = StringIO()
    monkeypatch.setattr("sys.stderr", said)
    with Progress(10, 4) as progress:
        progress.update(solved=1, wrong=0)
        progress.update(solved=2, wrong=0)
    lines = said.getvalue().splitlines()
    assert len(lines) == 2 and lines[1].startswith("fly: 6 of 10 frames") and "to go" in lines[1]
    assert "solved=2" in lines[1] and "wrong=0" in lines[1]
    with Progress(3, 0, "flight") as progress:
        progress.update()
    assert said.getvalue().splitlines()[2].startswith("fly: 1 of 3 flights")
