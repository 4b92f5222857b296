"""The export stages at a tiny size: looks, loss, training, resumption, ONNX, INT8, recall."""

import argparse
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("global_land_mask")

from export.discriminant import solve_head  # noqa: E402
from export.earth import load_earth, node_grid  # noqa: E402
from export.graph_rules import check_int8  # noqa: E402
from export.looks import Studio  # noqa: E402
from export.model_file import write_onnx  # noqa: E402
from export.network import Network, NetworkSettings  # noqa: E402
from export.parallel import World  # noqa: E402
from export.progress import Bar  # noqa: E402
from export.quantize import calibration_views, quantize  # noqa: E402
from export.scenes import views_of  # noqa: E402
from export.student import Student, StudentSettings  # noqa: E402
from export.trainer import RunSettings, fit  # noqa: E402
from onboard.arguments import output_file  # noqa: E402
from onboard.encoder import Encoder  # noqa: E402
from onboard.errors import MosaicError  # noqa: E402
from onboard.geodesy import distance_m  # noqa: E402
from tests import small_earth  # noqa: E402
from tests.small_earth import SIZE, SPAN_M, TURNS, scenes  # noqa: E402

torch.set_num_threads(1)  # threads that wait for one another are slow on a busy machine
NETWORK = NetworkSettings(size=SIZE, span_m=SPAN_M, dim=32, turns=TURNS)
STUDENT = StudentSettings(16, regression=0.0, relational=0.0, memory=64, closed_form_pairs=1536, whiten=0.0)
RUN = RunSettings(seed=0, steps=8, rate=1e-3, warmup=2, checkpoint_every=4)
ALONE = World(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def studio() -> Studio:
    return small_earth.studio()


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def test_nodes_are_where_the_picture_says() -> None:
    size, gsd = 64, 5e3
    lat, lon = node_grid(50.0, 179.0, size, gsd, 90.0)
    # Node (1, 1) is pixel (0, 0): up-left; with image up towards east, up-left lies north-east.
    half = (size - 1) / 2 * gsd
    assert distance_m(lat[1, 1], lon[1, 1], 50.0, 179.0) == pytest.approx(np.hypot(half, half), rel=1e-6)
    assert lat[1, 1] > 50.5 and lon[1, 1] < -178, "across the antimeridian"


def test_looks_are_drawn_anew_and_repeat_with_their_seed(studio: Studio) -> None:
    def look(seed: int) -> np.ndarray:
        return studio.look_view(np.random.default_rng(seed), 10.0, 179.9, 20.0, 50e3)

    assert look(1).shape == (1, 32, 32) and look(1).dtype == np.float32
    np.testing.assert_array_equal(look(1), look(1))
    assert np.abs(look(1) - look(2)).max() > 0.5
    assert all(np.all(np.isfinite(look(seed))) for seed in range(30))


def test_looks_resemble_their_own_place_more_than_another(studio: Studio) -> None:
    rng = np.random.default_rng(0)
    own, other = [], []
    for _ in range(40):
        look = studio.look_view(rng, 20.0, 30.0, 0.0, 0.0)
        own.append(agreement(look, studio.map_view(20.0, 30.0)))
        other.append(agreement(look, studio.map_view(-20.0, 80.0)))
    assert np.median(own) > 0.15 > np.median(other) + 0.1


@pytest.mark.parametrize("untold", [0.0, 1.0])
def test_a_window_is_told_by_the_mask_or_shows_as_a_dark_rim(
    untold: float, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.looks.UNTOLD_RIM", untold)
    rng = np.random.default_rng(0)
    seen = [studio.look_picture(rng, 20.0, 30.0, 0.0, 0.0) for _ in range(40)]
    dark = np.mean([(look.grey[look.mask] < 40).mean() for look in seen])
    masked = np.mean([1 - look.mask.mean() for look in seen])
    assert (dark > 0.05 and masked < 0.13) if untold else (dark < 0.01 and masked > 0.15)


def test_a_mosaic_becomes_an_earth_with_flat_water() -> None:
    class Grey:
        def sample(self, lat, lon, gsd_m):
            return np.full((*lat.shape, 3), 100, np.uint8), np.ones(lat.shape, bool)

    class Nothing:
        def sample(self, lat, lon, gsd_m):
            return np.zeros((*lat.shape, 3), np.uint8), np.zeros(lat.shape, bool)

    earth = load_earth(Grey(), 720)
    assert earth.picture.shape == (360, 760, 3)
    pacific, sahara = earth.picture[180, 20 + 40], earth.picture[134, 20 + 400]
    assert pacific[0] < 5 and pacific[2] == 0
    assert sahara[0] == 100 and sahara[2] == 255
    with pytest.raises(MosaicError, match="less than half"):
        load_earth(Nothing(), 720)


def test_no_place_is_drawn_where_the_mosaic_shows_nothing() -> None:
    class Band:
        def sample(self, lat, lon, gsd_m):
            return np.full((*lat.shape, 3), 100, np.uint8), np.abs(lat) <= 50

    earth = load_earth(Band(), 720)
    rng = np.random.default_rng(0)
    lat_deg = np.array([earth.draw_place(rng, (-62.0, 62.0), 0.15)[0] for _ in range(500)])
    assert 45 < np.abs(lat_deg).max() < 52, "of which land is in view"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Student, Path]:
    folder = tmp_path_factory.mktemp("training")
    student = Student(NETWORK, scenes(), STUDENT, None, ALONE)
    fit(student, RUN, {}, folder, ALONE)
    return student, folder


def test_the_closed_form_start_finds_looks_of_places_it_has_not_seen(
    trained: tuple[Student, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.looks.UNTOLD_RIM", 0.0)  # under windows that are told
    pairs = scenes().pairs(10_000, range(128))
    views = [views_of(side, SPAN_M, SIZE) for side in zip(*[(pair.map, pair.frame) for pair in pairs])]

    def found(network: torch.nn.Module) -> float:
        with torch.no_grad():
            a, b = torch.nn.functional.normalize(network.eval()(torch.cat(views))).chunk(2)
        return float(((b @ a.T).argmax(1) == torch.arange(128)).float().mean())

    solved = Student(NETWORK, scenes(), STUDENT, None, ALONE)
    fresh = found(solved.network)
    batches = [scenes().pairs(step, range(16)) for step in range(96)]
    correlations = solve_head(
        solved.network,
        [(views_of([p.map for p in b], SPAN_M, SIZE), views_of([p.frame for p in b], SPAN_M, SIZE)) for b in batches],
    )
    assert bool((correlations.diff() <= 1e-9).all()) and correlations[0] > 0.3
    assert found(solved.network) > 0.9 > fresh
    assert found(trained[0].network) > 0.85


def test_a_fresh_network_is_its_stem_and_grid() -> None:
    """The blocks begin as the identity, so that the closed form solves what is then trained."""
    network = Network(NETWORK).eval()
    views = torch.randn(3, 1, 32, 32)
    plain = network.pool(torch.relu(network.stem(views))).flatten(1)
    torch.testing.assert_close(network.features(views), plain)


@pytest.fixture(scope="module")
def models(studio: Studio, trained: tuple[Student, Path]) -> tuple[Path, Path, np.ndarray]:
    student, folder = trained
    write_onnx(student.network, NETWORK, folder / "encoder.onnx")
    views = calibration_views(studio, NETWORK.turns, NETWORK.reach_m, 64, 0)
    quantize(folder / "encoder.onnx", folder / "int8.onnx", views)
    return folder / "encoder.onnx", folder / "int8.onnx", views


def test_without_a_terminal_a_line_now_and_then_tells_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    said = StringIO()
    monkeypatch.setattr("sys.stderr", said)
    with Bar("quick", 3) as bar:
        bar.update(3)
    assert said.getvalue() == "", "what is done at once says nothing"
    monkeypatch.setattr("export.progress.LINE_EVERY_S", 0.01)
    with Bar("slow", 3) as bar:
        for done in (1, 2, 3):
            time.sleep(0.05)
            bar.told(done, 4)
    lines = said.getvalue().splitlines()
    assert lines[0].startswith("slow:  25%") and "1/4" in lines[0] and all("\r" not in line for line in lines)


def test_a_file_s_folder_is_made_before_the_work(tmp_path: Path) -> None:
    assert output_file(str(tmp_path / "new" / "a.json")) == tmp_path / "new" / "a.json"
    assert (tmp_path / "new").is_dir()
    with pytest.raises(argparse.ArgumentTypeError, match="is a directory"):
        output_file(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(argparse.ArgumentTypeError, match="folder cannot be made"):
        output_file(str(tmp_path / "file" / "a.json"))


def test_onnx_is_the_network_and_carries_its_metadata(trained: tuple[Student, Path], models) -> None:
    encoder = Encoder(models[0])
    seen = encoder.span_m, encoder.size, encoder.dim, encoder.turns, encoder.reach_m
    assert seen == (1500e3, 32, 32, 8, 12.5e3)
    network = trained[0].network.eval()
    with torch.no_grad():
        codes = torch.nn.functional.normalize(network(torch.from_numpy(models[2]))).numpy()
    # Folding normalisation and shortcut into the kernels costs rounding only.
    np.testing.assert_allclose(encoder.encode(models[2]), codes, atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, atol=1e-5)


def test_the_exported_graph_is_a_plain_chain(models) -> None:
    operators = {node.op_type for node in onnx.load(str(models[0])).graph.node}
    assert operators <= {"Conv", "Relu", "Flatten", "Gemm"}


def test_int8_is_symmetric_per_channel_and_close(models) -> None:
    model = onnx.load(str(models[1]))
    check_int8(model)
    constants = {entry.name: onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer}
    kernels = [value for value in constants.values() if value.dtype == np.int8 and value.ndim == 4]
    assert len(kernels) == 4
    per_channel = [node for node in model.graph.node if node.op_type == "DequantizeLinear"
                   and node.input[0] in constants and constants[node.input[0]].ndim == 4]  # fmt: skip
    assert all(constants[node.input[1]].shape == (constants[node.input[0]].shape[0],) for node in per_channel)
    zero_points = [constants[node.input[2]] for node in model.graph.node
                   if node.op_type in ("QuantizeLinear", "DequantizeLinear")]  # fmt: skip
    assert zero_points and all(not np.any(zero) for zero in zero_points)
    exact, rough = Encoder(models[0]).encode(models[2]), Encoder(models[1]).encode(models[2])
    assert float((exact * rough).sum(axis=1).mean()) > 0.96


def test_the_closed_form_alone_quantizes_too(studio: Studio, tmp_path: Path) -> None:
    """Blocks that have not learned are alike and the identity: they are left out, not shared."""
    student = Student(NETWORK, scenes(), STUDENT, None, ALONE)
    fit(student, replace(RUN, steps=0), {}, tmp_path, ALONE)
    write_onnx(student.network, NETWORK, tmp_path / "encoder.onnx")
    views = calibration_views(studio, NETWORK.turns, NETWORK.reach_m, 32, 0)
    quantize(tmp_path / "encoder.onnx", tmp_path / "int8.onnx", views)
    convolutions = [node for node in onnx.load(str(tmp_path / "int8.onnx")).graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 2
