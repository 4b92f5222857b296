"""The network that turns keypoints: views, pairs cut out of them, training, and what the runtime makes of its file."""

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: make train-venv")
onnx = pytest.importorskip("onnx")

from export.graph_rules import check_graph  # noqa: E402
from export.orientation_network import OrientationNet, write_orientation  # noqa: E402
from export.orientation_train import OrientationRecipe, OrientationSettings, agreement, fit_shares  # noqa: E402
from export.parallel import World  # noqa: E402
from export.patch_pairs import cut_pairs, turned_pairs  # noqa: E402
from export.regions import held_out as is_held_out  # noqa: E402
from export.shards import HELD_OUT, TRAINING, ShardError, read_shards  # noqa: E402
from export.trainer import RunSettings, TrainingError, fit  # noqa: E402
from export.training_data import write_views  # noqa: E402
from export.training_looks import Earths, LookSettings  # noqa: E402
from export.views import Views  # noqa: E402
from onboard.orientation import BIN_DEG, BINS, OrientationNetwork  # noqa: E402
from onboard.patch_model import normalised  # noqa: E402
from onboard.patches import patches_at  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
MOSAIC = Path(__file__).parents[2] / "shared/data/mosaics/blue_marble_summer_30as.tif"
EARTHS = Earths((MOSAIC,), (MOSAIC,))
SMALL = OrientationSettings(batch=64, place_px=0.5, seed=3)
RUN = RunSettings(3, 60, 2e-3, 1e-3, warmup=5, checkpoint_every=20)


def trained(recipe: OrientationRecipe, folder: Path, run: RunSettings = RUN) -> OrientationNet:
    fit(recipe, run, {}, folder, World(0, 1, torch.device("cpu")))
    return recipe.network


@pytest.fixture(scope="module")
def views() -> Views:
    """Textures of their own on the map; the frames darker and noisier, what is bright and what is dark alike."""
    rng = np.random.default_rng(0)
    count, side, each = 20, 160, 30
    fine = np.stack([cv2.GaussianBlur(rng.normal(0, 20, (side, side)), (0, 0), 3) for _ in range(count)])
    chart = np.clip(128 + 40 * fine, 0, 255)
    frame = np.clip(60 - 30 * np.abs(fine) + rng.normal(0, 4, fine.shape), 0, 255)
    lat, lon = rng.uniform(-50, 50, count).astype(np.float32), np.linspace(-180, 160, count).astype(np.float32)
    xy = rng.uniform(24, side - 24, (count * each, 2)).astype(np.float32)
    angle_deg = rng.uniform(0, 360, count * each).astype(np.float32)
    return Views(
        frame.astype(np.uint8), chart.astype(np.uint8), lat, lon, np.repeat(np.arange(count), each), xy, angle_deg
    )


def test_map_and_frame_learn_to_choose_one_direction(views: Views, tmp_path: Path) -> None:
    torch.manual_seed(3)
    untrained = fit_shares(OrientationNet(), views, 600, 3, 0)
    shares = fit_shares(trained(OrientationRecipe(views, SMALL), tmp_path), views, 600, 3, 0)
    assert shares[0] > max(0.4, untrained[0] + 0.15) and shares[0] <= shares[1] <= shares[2] <= 1


def test_a_resumed_training_is_the_same(views: Views, tmp_path: Path) -> None:
    whole = trained(OrientationRecipe(views, SMALL), tmp_path / "whole")

    class Stop(Exception):
        pass

    broken = OrientationRecipe(views, SMALL)
    losses = broken.losses

    def interrupted(step: int) -> dict:
        if step == 45:
            raise Stop
        return losses(step)

    broken.losses = interrupted  # type: ignore[method-assign]
    with pytest.raises(Stop):
        trained(broken, tmp_path / "broken")
    again = trained(OrientationRecipe(views, SMALL), tmp_path / "broken")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    with pytest.raises(TrainingError, match="other settings"):
        trained(OrientationRecipe(views, SMALL), tmp_path / "whole", RunSettings(3, 61, 2e-3))


def test_agreement_is_the_chance_of_one_direction() -> None:
    seen, known = np.zeros((4, BINS), np.float32), np.zeros((4, BINS), np.float32)
    seen[np.arange(4), [5, 5, 5, 0]] = 1
    known[np.arange(4), [8, 9, 5, 35]] = 1
    # Three bins of turn: the map's bin 8 is the frame's 5. Bin 9 is a neighbour, bin 5 is not, and 0 comes after 35.
    turn_deg = np.array([30, 30, 30, -10], np.float32)
    found = agreement(torch.from_numpy(seen), torch.from_numpy(known), turn_deg)
    np.testing.assert_allclose(found, [1, 1, 0, 1], atol=1e-6)
    even = torch.full((1, BINS), 1 / BINS)
    assert float(agreement(even, even, np.array([77.0], np.float32))[0]) == pytest.approx(3 / BINS, rel=1e-5)
    between = np.array([15.0], np.float32)  # half of bin 8 is the frame's bin 6, half its bin 7
    half = agreement(torch.from_numpy(seen[:1]), torch.from_numpy(known[:1]), between)
    assert float(half[0]) == pytest.approx(0.5)


def test_turning_a_patch_turns_the_directions(views: Views) -> None:
    torch.manual_seed(1)
    network = OrientationNet().eval()
    xy = np.random.default_rng(2).uniform(60, 100, (40, 2)).astype(np.float32)
    with torch.inference_mode():
        level, turned = (
            network(torch.from_numpy(normalised(patches_at(views.map[0], xy, np.full(40, angle, np.float32))))).numpy()
            for angle in (0, 3 * BIN_DEG)
        )

    def alike(rolled: np.ndarray) -> float:
        return float(np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(rolled, turned, strict=True)]))

    assert alike(np.roll(level, -3, axis=1)) > 0.9 > alike(level) + 0.2


def test_patches_are_cut_where_the_keypoint_is(views: Views) -> None:
    rows, none = np.array([0, 45, 46, 500]), np.zeros(4)
    frame, chart = cut_pairs(views, rows, np.zeros((4, 2)), none, none)
    for row, of_frame, of_map in zip(rows, frame, chart, strict=True):
        view, at = views.view[row], views.xy[None, row]
        np.testing.assert_array_equal(of_frame, patches_at(views.frame[view], at, np.zeros(1, np.float32))[0])
        np.testing.assert_array_equal(of_map, patches_at(views.map[view], at, np.zeros(1, np.float32))[0])
    beside, same = cut_pairs(views, rows, np.tile([3.0, 0.0], (4, 1)), none, none)
    np.testing.assert_array_equal(same, chart)
    assert np.abs(beside[:, :, :-3].astype(int) - frame[:, :, 3:]).max() <= 1


def test_the_orientations_file_turns_as_the_network_does(views: Views, tmp_path: Path) -> None:
    network = trained(OrientationRecipe(views, SMALL), tmp_path / "run")
    write_orientation(network, tmp_path / "orientation.onnx")
    patches, _, _ = turned_pairs(views, np.arange(len(views.view)), 1.0, np.random.default_rng(0))
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(normalised(patches))).numpy()
    np.testing.assert_allclose(OrientationNetwork(tmp_path / "orientation.onnx").rows(patches), expected, atol=1e-4)
    np.testing.assert_allclose(expected.mean(axis=1), 0, atol=1e-5)
    check_graph(onnx.load(str(tmp_path / "orientation.onnx")))


@pytest.mark.real
@pytest.mark.skipif(not MOSAIC.exists(), reason=f"needs {MOSAIC}")
def test_views_of_simulated_frames_show_the_same_ground(tmp_path: Path) -> None:
    settings = LookSettings(places=3, looks=3, seed=7, places_a_shard=2)
    counts: list[int] = []
    write_views(EARTHS, settings, tmp_path, lambda done, total, views: counts.append(views))
    found = read_shards([tmp_path], TRAINING, Views)
    held_out = sum(len(np.load(path)["frame"]) for path in tmp_path.glob("held-out-*.npz"))
    assert len(found) + held_out == counts[-1] and len(found) >= 3 and len(found.view) > 300
    assert not any(map(is_held_out, found.lat_deg.tolist(), found.lon_deg.tolist()))

    def even(patches: np.ndarray) -> np.ndarray:
        flat = patches.reshape(len(patches), -1).astype(float)
        flat -= flat.mean(axis=1, keepdims=True)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)

    rows, none = np.arange(len(found.view)), np.zeros(len(found.view))
    alike = {}
    for off_px in (0.0, 6.0):
        sides = cut_pairs(found, rows, np.tile([off_px, 0.0], (len(rows), 1)), none, none)
        alike[off_px] = np.abs(np.einsum("nd,nd->n", *map(even, sides)))
    assert np.mean(alike[0.0] > alike[6.0]) > 0.65
    before = (tmp_path / "shard-0.npz").stat().st_mtime_ns
    write_views(EARTHS, settings, tmp_path, lambda done, total, views: None)
    assert (tmp_path / "shard-0.npz").stat().st_mtime_ns == before
    with pytest.raises(ShardError, match="other settings"):
        write_views(EARTHS, LookSettings(places=4), tmp_path, lambda done, total, views: None)
    with pytest.raises(ShardError, match="holds no held-out"):
        read_shards([tmp_path / "nowhere"], HELD_OUT, Views)
