"""The descriptor network: patches, pairs, training, export, and what the runtime makes of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

torch = pytest.importorskip("torch", reason="training needs torch: make train-venv")

from export.keypoint_pairs import STORED_PX, PatchPairs  # noqa: E402
from export.parallel import World  # noqa: E402
from export.patch_evaluate import inner_patches, report_patches  # noqa: E402
from export.patch_network import PatchNet, write_descriptor  # noqa: E402
from export.patch_train import PatchRecipe, PatchTrainSettings, contrast, draw_rows, fade, mine  # noqa: E402
from export.regions import held_out as is_held_out  # noqa: E402
from export.shards import HELD_OUT, TRAINING, ShardError, read_shards  # noqa: E402
from export.trainer import RunSettings, TrainingError, fit  # noqa: E402
from export.training_data import write_pairs  # noqa: E402
from export.training_looks import Earths, LookSettings  # noqa: E402
from onboard.describer import PatchNetwork  # noqa: E402
from onboard.geodesy import EARTH_RADIUS_M, unit_from_latlon  # noqa: E402
from onboard.patches import PATCH_PX  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
MOSAIC = Path(__file__).parents[2] / "shared/data/mosaics/blue_marble_summer_30as.tif"
EARTHS = Earths((MOSAIC,), (MOSAIC,))
SMALL = PatchTrainSettings(batch=64, strangers=8, mine_every=30, mined=400, seed=3)
RUN = RunSettings(3, 60, 2e-3, 1e-3, warmup=5, checkpoint_every=20)


def trained(pairs: PatchPairs, folder: Path, run: RunSettings = RUN) -> PatchNet:
    recipe = PatchRecipe(pairs, SMALL)
    fit(recipe, run, {}, folder, World(0, 1, torch.device("cpu")))
    return recipe.network


@pytest.fixture(scope="module")
def pairs() -> PatchPairs:
    """Textures of their own on one side; on the other darker and noisier, what is bright and what is dark alike."""
    rng = np.random.default_rng(0)
    count = 400
    coarse = torch.from_numpy(rng.standard_normal((count, 1, 9, 9)).astype(np.float32))
    fine = torch.nn.functional.interpolate(coarse, STORED_PX, mode="bicubic")[:, 0].numpy()
    chart = np.clip(128 + 50 * fine, 0, 255)
    frame = np.clip(60 - 30 * np.abs(fine) + rng.normal(0, 4, fine.shape), 0, 255)
    lat = rng.uniform(-50, 50, count).astype(np.float32)
    lon = rng.uniform(-180, 180, count).astype(np.float32)
    strangers = rng.integers(0, 255, (50, STORED_PX, STORED_PX)).astype(np.uint8)
    size_px, gsd_m = np.full(count, 3, np.float32), np.full(count, 930, np.float32)
    return PatchPairs(frame.astype(np.uint8), chart.astype(np.uint8), strangers, lat, lon, size_px, gsd_m)


def recall(network: PatchNet, pairs: PatchPairs) -> float:
    frame, chart = (network.encode(inner_patches(side)) for side in (pairs.frame, pairs.map))
    return report_patches(frame, chart).recall_1


def test_the_contrast_is_the_cross_entropy_written_out() -> None:
    rng = np.random.default_rng(1)
    queries, keys = (rng.standard_normal((count, 8)) for count in (3, 5))
    same = np.zeros((3, 3), bool)
    same[0, 2] = same[2, 0] = True
    expected = 0.0
    for i in range(3):
        likeness = queries[i] @ keys.T / 0.1
        counted = [j for j in range(5) if j >= 3 or not same[i, j]]
        expected += (np.log(np.exp(likeness[counted] - likeness.max()).sum()) + likeness.max() - likeness[i]) / 3
    found = contrast(torch.from_numpy(queries), torch.from_numpy(keys), torch.from_numpy(same), 0.1)
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_training_teaches_and_a_resumed_one_is_the_same(pairs: PatchPairs, tmp_path: Path) -> None:
    torch.manual_seed(3)
    untrained = recall(PatchNet(), pairs)
    whole = trained(pairs, tmp_path / "whole")
    assert recall(whole, pairs) > max(0.5, untrained + 0.2)

    class Stop(Exception):
        pass

    losses = PatchRecipe.losses
    with pytest.MonkeyPatch.context() as patch:

        def interrupted(recipe: PatchRecipe, step: int) -> dict:
            if step == 45:
                raise Stop
            return losses(recipe, step)

        patch.setattr(PatchRecipe, "losses", interrupted)
        with pytest.raises(Stop):
            trained(pairs, tmp_path / "broken")
    again = trained(pairs, tmp_path / "broken")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    with pytest.raises(TrainingError, match="other settings"):
        trained(pairs, tmp_path / "whole", RunSettings(3, 61, 2e-3))


def test_framesfade_and_keep_what_they_show(pairs: PatchPairs) -> None:
    faded = fade(pairs.frame, np.random.default_rng(1))
    assert faded.dtype == np.uint8 and faded.shape == pairs.frame.shape
    before, after = (patches.reshape(len(patches), -1).astype(float) for patches in (pairs.frame, faded))
    ratio = after.std(axis=1) / before.std(axis=1)
    assert 0.6 < np.median(ratio) < 0.75 and ratio.min() < 0.45 and ratio.max() > 0.9
    assert np.abs(after.mean(axis=1) - before.mean(axis=1)).max() < 3
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(before, after, strict=True)]
    assert np.median(alike) > 0.97


def test_hard_negatives_look_alike_and_lie_elsewhere(pairs: PatchPairs) -> None:
    torch.manual_seed(0)
    network = PatchNet()
    hard = mine(network, pairs, SMALL, 0)
    known = hard[:, 0] >= 0
    assert known.mean() > 0.9
    unit = unit_from_latlon(pairs.lat_deg, pairs.lon_deg)
    apart = np.linalg.norm(unit[hard[known, 0]] - unit[known], axis=1) * EARTH_RADIUS_M
    assert apart.min() > 45e3
    frame, chart = (network.encode(inner_patches(side)) for side in (pairs.frame, pairs.map))
    like = np.einsum("nd,nd->n", frame[known], chart[hard[known, 0]])
    chance = np.einsum("nd,nd->n", frame[known], np.roll(chart, 7, axis=0)[known])
    assert np.median(like) > np.median(chance) + 0.1
    rows = draw_rows(np.random.default_rng(0), len(pairs), SMALL, hard)
    assert len(np.unique(rows)) == len(rows) and np.isin(hard[rows], rows).any(axis=1).mean() > 0.3


def test_half_of_a_batch_are_hard_negatives_of_the_other_half() -> None:
    settings, count = PatchTrainSettings(), 100_000
    rng = np.random.default_rng(0)
    hard = rng.integers(0, count, (count, 4))
    hard[rng.permutation(count)[: count // 2]] = -1  # not mined
    rows = draw_rows(rng, count, settings, hard)
    others = np.isin(rows, hard[rows])
    assert settings.batch - 8 < len(rows) <= settings.batch and others.mean() > 0.48
    assert np.isin(hard[rows[~others]], rows).any(axis=1).all()


def test_too_few_pairs_are_told_before_the_first_step(pairs: PatchPairs) -> None:
    with pytest.raises(TrainingError, match="63 pairs and 50 keypoints without a partner"):
        PatchRecipe(pairs[np.arange(63)], SMALL)
    with pytest.raises(TrainingError, match="400 pairs and 0 keypoints"):
        PatchRecipe(replace(pairs, strangers=pairs.strangers[:0]), SMALL)
    here = replace(pairs, lat_deg=np.zeros_like(pairs.lat_deg), lon_deg=np.zeros_like(pairs.lon_deg))
    with pytest.raises(TrainingError, match="only 0 of 400 pairs have one elsewhere"):
        mine(PatchNet(), here, SMALL, 0)


def test_the_file_describes_as_the_network_does(pairs: PatchPairs, tmp_path: Path) -> None:
    network = trained(pairs, tmp_path / "run")
    write_descriptor(network, (0.3, 0.7), tmp_path / "descriptor.onnx")
    describer = PatchNetwork(tmp_path / "descriptor.onnx")
    assert describer.likeness == (0.3, 0.7) and describer.dim == 64
    patches = inner_patches(pairs.frame)
    np.testing.assert_allclose(describer.encode(patches), network.encode(patches), atol=1e-4)
    assert describer.encode(patches[:0]).shape == (0, 64)


@pytest.mark.real
@pytest.mark.skipif(not MOSAIC.exists(), reason=f"needs {MOSAIC}")
def test_pairs_of_simulated_frames_show_the_same_ground(tmp_path: Path) -> None:
    settings = LookSettings(places=3, looks=3, seed=7, places_a_shard=2)
    counts: list[int] = []
    write_pairs(EARTHS, settings, tmp_path, lambda done, total, pairs: counts.append(pairs))
    found = read_shards([tmp_path], TRAINING, PatchPairs)
    held_out = sum(len(np.load(path)["lat_deg"]) for path in tmp_path.glob("held-out-*.npz"))
    assert len(found) + held_out == counts[-1] and len(found) > 100
    assert not is_held_out(found.lat_deg, found.lon_deg, PATCH_PX * settings.gsd_m).any()

    def even(patches: np.ndarray) -> np.ndarray:
        flat = patches.reshape(len(patches), -1).astype(float)
        flat -= flat.mean(axis=1, keepdims=True)
        return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)

    frame, chart = even(found.frame), even(found.map)
    right = np.einsum("nd,nd->n", frame, chart)
    chance = np.einsum("nd,nd->n", frame, np.roll(chart, 11, axis=0))
    assert np.median(right) > 0.4 > np.median(chance) + 0.2
    before = (tmp_path / "shard-0.npz").stat().st_mtime_ns
    write_pairs(EARTHS, settings, tmp_path, lambda done, total, pairs: None)
    assert (tmp_path / "shard-0.npz").stat().st_mtime_ns == before
    with pytest.raises(ShardError, match="other settings"):
        write_pairs(EARTHS, LookSettings(places=4), tmp_path, lambda done, total, pairs: None)
    with pytest.raises(ShardError, match="holds no held-out"):
        read_shards([tmp_path, tmp_path / "nowhere"], HELD_OUT, PatchPairs)


def test_the_map_may_be_of_another_season(blue_marble: Path, tmp_path: Path) -> None:
    """As another month a picture half as bright; both as if seen from eight times as high."""
    dim, settings = tmp_path / "dim.tif", LookSettings(7440.0, 3240e3, places=2, looks=1, seed=7)
    with rasterio.open(blue_marble) as month, rasterio.open(dim, "w", **month.profile) as darker:
        darker.write(month.read() // 2)
    grey = {}
    for name, mapped in (("same", blue_marble), ("other", dim)):
        write_pairs(Earths((blue_marble,), (mapped,)), settings, tmp_path / name, lambda done, total, pairs: None)
        found = read_shards([tmp_path / name], TRAINING, PatchPairs)
        assert len(found) > 50 and (found.gsd_m == 7440).all()
        assert not is_held_out(found.lat_deg, found.lon_deg, PATCH_PX * settings.gsd_m).any()
        grey[name] = [float(np.median(side)) for side in (found.frame, found.map)]
    assert grey["other"][0] == pytest.approx(grey["same"][0], rel=0.15)
    assert grey["other"][1] == pytest.approx(grey["same"][1] / 2, rel=0.15)
