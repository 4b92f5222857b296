"""``nadir export`` from its command line: the closed form alone, what a rerun goes on with, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("global_land_mask")

from export.scenes import BEFORE, views_of  # noqa: E402
from export.teacher import Teacher, TeacherSettings, save_teacher  # noqa: E402
from onboard.cli import main  # noqa: E402
from onboard.encoder import Encoder  # noqa: E402
from tests.random_pairs import some_pairs  # noqa: E402
from tests.small_earth import SIZE, SPAN_M, TURNS, scenes  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = ["--size", str(SIZE), "--span-km", f"{SPAN_M / 1e3:g}", "--turns", str(TURNS), "--dim", "32", "--batch", "8",
         "--device", "cpu", "--threads", "1"]  # fmt: skip


@pytest.fixture
def small_earth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.cli_global._scenes", lambda *_: scenes())


def distill(out: Path, *more: str) -> int:
    return main(["export", "distill", "--mosaic", "F.tif", "--steps", "0", "--out", str(out), *SMALL, *more])


def write_teacher(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    settings = TeacherSettings("scratch", SIZE, SPAN_M, 48, TURNS, clusters=6, cluster_dim=8, token_dim=16)
    save_teacher(Teacher(settings), path)


@pytest.mark.usefixtures("small_earth")
def test_no_steps_leave_the_closed_form(tmp_path: Path) -> None:
    assert distill(tmp_path, "--closed-form-pairs", "512") == 0
    assert json.loads((tmp_path / "settings.json").read_text())["run"]["steps"] == 0
    pairs = scenes().pairs(BEFORE - 1, range(40))
    encoder = Encoder(tmp_path / "encoder.onnx")
    maps, frames = (
        encoder.encode(views_of(side, SPAN_M, SIZE).numpy()) for side in zip(*[(p.map, p.frame) for p in pairs])
    )
    assert float(((frames @ maps.T).argmax(axis=1) == np.arange(40)).mean()) > 0.5


@pytest.mark.parametrize("verb", ["quantize --mosaic F.tif", "quantize-local --pairs DIR"])
def test_no_network_is_quantized_over_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    network = tmp_path / "network.onnx"
    network.write_bytes(b"a network")
    assert main(["export", *verb.split(), "--model", str(network), "--out", str(network)]) == 2
    assert "would overwrite" in capsys.readouterr().err and network.read_bytes() == b"a network"


@pytest.mark.usefixtures("small_earth")
def test_another_teacher_of_the_same_name_is_another_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher, asked = tmp_path / "teacher.pt", ["--closed-form-pairs", "64", "--teacher", str(tmp_path / "teacher.pt")]
    write_teacher(teacher, 0)
    assert distill(tmp_path / "student", *asked) == distill(tmp_path / "student", *asked) == 0
    write_teacher(teacher, 1)
    assert distill(tmp_path / "student", *asked) == 2
    assert "was made with other settings" in capsys.readouterr().err


@pytest.mark.usefixtures("small_earth")
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--closed-form-pairs", "15"], "at least --closed-form-pairs 16"),
        (["--size", "50"], "multiple of 8"),
        (["--channels", "16"], "at least --channels 32"),
        (["--size", "16", "--dim", "256"], "at most --dim 128"),
    ],
)
def test_a_student_that_cannot_be_is_refused_at_once(
    asked: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert distill(tmp_path / "student", *asked) == 2
    assert told in capsys.readouterr().err and not (tmp_path / "student").exists()


def write_shards(folder: Path, held_out: int, seed: int) -> str:
    folder.mkdir()
    for name, count in (("shard", 300), ("held-out", held_out)):
        np.savez(folder / f"{name}-0.npz", **vars(some_pairs(count, seed)))
    return str(folder)


def test_the_local_network_goes_on_with_the_same_pairs_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = write_shards(tmp_path / "a", 20, 0), write_shards(tmp_path / "b", 15, 1)
    asked = ["export", "local", "--out", str(tmp_path / "out"), "--steps", "1", "--threads", "1", "--pairs"]
    assert main([*asked, second, first]) == 2
    assert "15 held-out pairs, of 16" in capsys.readouterr().err and not (tmp_path / "out").exists()
    np.savez(tmp_path / "b/held-out-0.npz", **vars(some_pairs(20, 2)))
    assert main([*asked, first, second]) == main([*asked, first, second]) == 0
    assert main([*asked, second, first]) == 2
    assert "was made with other settings" in capsys.readouterr().err


def test_the_orientations_training_is_known_by_its_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    claims = []

    def fit(_recipe: object, _run: object, configuration: dict, *_: object) -> None:
        claims.append(configuration)
        raise KeyboardInterrupt

    monkeypatch.setattr("export.trainer.fit", fit)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        views = {"frame": rng.integers(0, 255, (1, 64, 64)).astype(np.uint8), "lat_deg": np.zeros(1, np.float32),
                 "view": np.zeros(60, np.int64), "xy": np.full((60, 2), 32, np.float32)}  # fmt: skip
        views |= {"map": views["frame"], "lon_deg": views["lat_deg"], "angle_deg": np.zeros(60, np.float32)}
        for shard in ("shard", "held-out"):
            np.savez(tmp_path / name / f"{shard}-0.npz", **views)
    for order in ("ab", "ab", "ba"):
        folders = [str(tmp_path / name) for name in order]
        assert main(["export", "orientation", "--out", str(tmp_path / "out"), "--views", *folders]) == 130
    assert claims[0] == claims[1] != claims[2]


@pytest.mark.parametrize("verb", ["quantize", "quantize-local"])
def test_a_network_is_not_written_where_its_record_goes(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ["--mosaic", "F.tif"] if verb == "quantize" else ["--pairs", "DIR"]
    with pytest.raises(SystemExit) as refused:
        main(["export", verb, *source, "--model", "network.onnx", "--out", str(tmp_path / "int8.json")])
    assert refused.value.code == 2 and "name it .onnx" in capsys.readouterr().err
