"""The bench of oblique views goes on where it was killed, and with what it was begun only."""

from types import SimpleNamespace

import pytest

from sim.errors import SimError
from tests import bench_oblique
from tests.bench_oblique import Record


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the bench on what costs nothing: two shots, each a fix of 1 km, mirrored a fix that shows no place. Returns
    the answers asked for, and what was printed."""
    asked = []

    def answers(localizer, studio, shot, vertical, tilt_deg, ways):
        for how in ways:
            asked.append((tilt_deg, shot.index, how))
            yield Record(tilt_deg, how, shot.index, "FIX", 20.0, 0.0, None if how == "mirrored" else 1e3, 1e3, 3.0)

    localizer = SimpleNamespace(camera=None, acceptance=SimpleNamespace(least_score=18.0))
    for name, stand_in in {
        "Localizer": lambda pack: localizer,
        "OceanMask": lambda: None,
        "Ground": lambda mosaic, sea: SimpleNamespace(sea=sea),
        "Studio": lambda *anything: None,
        "oblique": lambda *anything: [(SimpleNamespace(index=index), None) for index in range(2)],
        "answers": answers,
        "pack_identity": lambda pack: {"manifest_sha256": "a"},
        "file_identity": lambda path: {"sha256": "b"},
    }.items():
        monkeypatch.setattr(bench_oblique, name, stand_in)
    monkeypatch.setattr(bench_oblique.plugins, "service", lambda name: lambda path: None)

    def bench(*options):
        asked.clear()
        words = ["bench_oblique", "map.tif", "--tilts-deg", "10", "--out", str(tmp_path / "out"), *options]
        monkeypatch.setattr("sys.argv", words)
        bench_oblique.main()
        return list(asked), capsys.readouterr().out

    return bench


def test_a_line_cut_off_by_a_kill_is_answered_again(run, tmp_path):
    asked, told = run()
    assert len(asked) == 6
    row = next(line for line in told.splitlines() if "mirrored" in line)
    assert row.split()[2:6] == ["2", "0", "2", "0"]  # any fix of a mirrored frame is wrong
    log = tmp_path / "out" / "told_10.jsonl"
    lines = log.read_text().splitlines()
    log.write_text(f"{lines[0]}\n{lines[1][:20]}")
    assert run() == ([(10.0, 1, "told")], told)


@pytest.mark.parametrize("options", [("--places", "7"), ("--seed", "6")])
def test_answers_of_another_bench_are_refused(run, options):
    run()
    with pytest.raises(SimError, match=f"different: {options[0][2:]}"):
        run(*options)
