"""The export stages at a tiny size: looks, loss, training, resumption, ONNX, INT8, recall."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("global_land_mask")

from export import evaluate, train  # noqa: E402
from export.discriminant import solve_head  # noqa: E402
from export.earth import Earth, load_earth, node_grid  # noqa: E402
from export.frames import read_frames  # noqa: E402
from export.graph_rules import check_int8  # noqa: E402
from export.looks import Studio  # noqa: E402
from export.loss import multi_similarity  # noqa: E402
from export.model_file import write_onnx  # noqa: E402
from export.network import Network, NetworkSettings  # noqa: E402
from export.noise import Noise  # noqa: E402
from export.quantize import calibration_views, quantize  # noqa: E402
from onboard.cells import CellTable, tile_band  # noqa: E402
from onboard.encoder import Encoder  # noqa: E402
from onboard.errors import ImageError, MosaicError  # noqa: E402
from onboard.geodesy import distance_m  # noqa: E402

torch.set_num_threads(1)  # threads that wait for one another are slow on a busy machine
NETWORK = NetworkSettings(size=32, span_m=1500e3, dim=32, turns=8)
TRAIN = train.TrainSettings(
    steps=8,
    batch=16,
    closed_form_pairs=512,
    warmup=2,
    memory=64,
    max_offset_m=50e3,
    checkpoint_every=4,
    min_land=-1.0,
)


@pytest.fixture(scope="module")
def studio() -> Studio:
    """An Earth of soft noise, land everywhere."""
    rng = np.random.default_rng(3)
    grey = cv2.GaussianBlur(rng.normal(0, 1, (600, 1200)).astype(np.float32), (0, 0), 4)
    picture = np.stack([np.clip(120 + 500 * grey, 0, 255), np.full_like(grey, 60), np.full_like(grey, 255)], -1)
    earth = Earth(_wrapped(picture.astype(np.uint8)), (), np.ones((180, 360), np.float32))
    return Studio(earth, Noise(0), NETWORK.span_m, NETWORK.size)


def _wrapped(picture: np.ndarray) -> np.ndarray:
    margin = round(picture.shape[1] * 10 / 360)
    return np.concatenate([picture[:, -margin:], picture, picture[:, :margin]], axis=1)


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


def test_the_loss_is_least_when_pairs_agree() -> None:
    eye = torch.eye(8)
    positive = eye.bool()
    right = multi_similarity(eye, eye, positive, ~positive)
    wrong = multi_similarity(eye, eye.roll(1, 0), positive, ~positive)
    assert float(right) < float(wrong) - 0.5
    neither = torch.zeros(8, 8, dtype=torch.bool)
    assert float(multi_similarity(eye, eye, neither, neither)) == pytest.approx(0.0, abs=1e-6)


@pytest.fixture(scope="module")
def trained(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> tuple[train.State, Path]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("training")
    return train.fit(studio, NETWORK, TRAIN, folder), folder


def test_the_closed_form_start_finds_looks_of_places_it_has_not_seen(
    studio: Studio, trained: tuple[train.State, Path]
) -> None:
    def found(network: torch.nn.Module) -> float:
        maps, looks, _ = train.draw_batch(studio, replace(TRAIN, batch=128), NETWORK.turns, 10_000)
        with torch.no_grad():
            a, b = torch.nn.functional.normalize(network.eval()(torch.cat([maps, looks]))).chunk(2)
        return float(((b @ a.T).argmax(1) == torch.arange(128)).float().mean())

    solved = train.start(NETWORK, TRAIN)
    batches = [train.draw_batch(studio, TRAIN, NETWORK.turns, step)[:2] for step in range(32)]
    correlations = solve_head(solved.network, batches)
    assert bool((correlations.diff() <= 1e-9).all()) and correlations[0] > 0.3
    assert found(solved.network) > 0.9 > found(train.start(NETWORK, TRAIN).network)
    assert found(trained[0].network) > 0.85


def test_a_fresh_network_is_its_stem_and_grid() -> None:
    """The blocks begin as the identity, so that the closed form solves what is then trained."""
    network = Network(NETWORK).eval()
    views = torch.randn(3, 1, 32, 32)
    plain = network.pool(torch.relu(network.stem(views))).flatten(1)
    torch.testing.assert_close(network.features(views), plain)


def test_training_steps_reduce_the_loss(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(TRAIN, memory=0, steps=60, rate=3e-3)
    batch = train.draw_batch(studio, settings, NETWORK.turns, 0)
    monkeypatch.setattr(train, "draw_batch", lambda *_: batch)
    state = train.start(NETWORK, settings)
    losses = [train.step_once(state, studio, NETWORK, settings) for _ in range(30)]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_an_interrupted_training_ends_with_the_same_weights(
    studio: Studio, trained: tuple[train.State, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_step, calls = train.step_once, []

    def step_or_stop(*arguments: Any) -> float:
        calls.append(1)
        if len(calls) > 6:  # past the checkpoint at 4
            raise KeyboardInterrupt
        return real_step(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train, "step_once", step_or_stop)
        train.fit(studio, NETWORK, TRAIN, tmp_path)
    assert train.read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 4
    resumed = train.fit(studio, NETWORK, TRAIN, tmp_path)
    assert resumed.step == TRAIN.steps
    for name, value in trained[0].network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_another_training_in_the_folder_is_refused(studio: Studio, trained: tuple[train.State, Path]) -> None:
    with pytest.raises(train.TrainingError, match="other settings"):
        train.fit(studio, NETWORK, replace(TRAIN, seed=1), trained[1])


def test_a_damaged_checkpoint_is_named(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(train.TrainingError, match=r"checkpoint\.pt"):
        train.fit(studio, NETWORK, TRAIN, tmp_path)


@pytest.fixture(scope="module")
def models(studio: Studio, trained: tuple[train.State, Path]) -> tuple[Path, Path, np.ndarray]:
    state, folder = trained
    write_onnx(state.network, NETWORK, folder / "encoder.onnx")
    views = calibration_views(studio, NETWORK.turns, 64, 0)
    quantize(folder / "encoder.onnx", folder / "int8.onnx", views)
    return folder / "encoder.onnx", folder / "int8.onnx", views


def test_onnx_is_the_network_and_carries_its_metadata(trained: tuple[train.State, Path], models) -> None:
    encoder = Encoder(models[0])
    assert (encoder.span_m, encoder.size, encoder.dim, encoder.turns) == (1500e3, 32, 32, 8)
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


def test_ranks_count_from_the_best_cell_within_the_spacing() -> None:
    lat, lon = tile_band((-30, 30), 1000e3)
    codes = np.eye(len(lat), dtype=np.float32)
    table = CellTable.quantized(lat, lon, codes, 400e3)
    places = [(float(lat[4]), float(lon[4])), (float(lat[4]), float(lon[4])), (80.0, 0.0)]
    ranks = evaluate.hit_ranks(table, [codes[4:5], codes[4:5] + 2 * codes[9:10], codes[4:5]], places)
    assert ranks.tolist() == [0, 1, len(table)]
    assert evaluate.recall(ranks)["R@1"] == pytest.approx(33.3)
    assert evaluate.by_label(ranks, ["a", "a", "b"])["b"]["R@100"] == 0.0


def test_a_wrong_frames_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"frames\.csv"):
        read_frames(tmp_path)
    (tmp_path / "frames.csv").write_text("file,lat_deg\nx.jpg,1\n")
    with pytest.raises(ImageError, match="lon_deg"):
        read_frames(tmp_path)


def test_the_closed_form_alone_quantizes_too(studio: Studio, tmp_path: Path) -> None:
    """Blocks that have not learned are alike and the identity: they are left out, not shared."""
    state = train.fit(studio, NETWORK, replace(TRAIN, steps=0), tmp_path)
    write_onnx(state.network, NETWORK, tmp_path / "encoder.onnx")
    quantize(tmp_path / "encoder.onnx", tmp_path / "int8.onnx", calibration_views(studio, NETWORK.turns, 32, 0))
    convolutions = [node for node in onnx.load(str(tmp_path / "int8.onnx")).graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 2
