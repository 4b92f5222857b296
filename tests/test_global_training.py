"""Teachers and students at a tiny size: scenes, recipes, resumption, several processes, files."""

import argparse
import itertools
import json
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("global_land_mask")

from export import cli_global, trainer  # noqa: E402
from export.ablation import Bench, ablate, rows  # noqa: E402
from export.astroloc import AstroLoc, AstroLocSettings, pair_loss, place_loss, teacher_codes  # noqa: E402
from export.backbone import BackboneError, load_backbone  # noqa: E402
from export.cell_classes import CellClasses  # noqa: E402
from export.cosplace import CosPlace, CosPlaceSettings  # noqa: E402
from export.evaluate import simulated_queries  # noqa: E402
from export.mum import MapClusters  # noqa: E402
from export.network import Network, NetworkSettings, cost  # noqa: E402
from export.parallel import ShareError, World, joined_world  # noqa: E402
from export.regions import held_out  # noqa: E402
from export.scenes import views_of  # noqa: E402
from export.student import Student, StudentSettings, turn_head  # noqa: E402
from export.teacher import Teacher, TeacherError, TeacherSettings, load_teacher, save_teacher  # noqa: E402
from export.torch_encoder import TorchEncoder  # noqa: E402
from export.trainer import RunSettings, TrainingError, fit  # noqa: E402
from onboard.geodesy import distance_m  # noqa: E402
from tests.small_earth import SIZE, SPAN_M, TURNS, scenes  # noqa: E402

torch.set_num_threads(1)
ALONE = World(0, 1, torch.device("cpu"))
TEACHER = TeacherSettings("scratch", SIZE, SPAN_M, dim=48, turns=TURNS, clusters=6, cluster_dim=8, token_dim=16)
NETWORK = NetworkSettings(size=SIZE, span_m=SPAN_M, dim=32, turns=TURNS)
STUDENT = StudentSettings(pairs=8, memory=32, closed_form_pairs=64)
RUN = RunSettings(seed=0, steps=3, rate=1e-3, warmup=2, checkpoint_every=1)


def teacher(seed: int = 0) -> Teacher:
    torch.manual_seed(seed)
    return Teacher(TEACHER)


def astroloc(world: World = ALONE, batch: int = 8) -> AstroLoc:
    settings = AstroLocSettings(batch, batch // 2, 2, clusters=4, recluster=3, spacing_m=3000e3, pool=20, relevance=8)
    return AstroLoc(teacher(), scenes(), settings, world)


def cosplace(world: World = ALONE) -> CosPlace:
    # Frames from all over a cell are not learned in a step.
    far = replace(scenes(), settings=replace(scenes().settings, reach_m=1000e3))
    return CosPlace(teacher(), far, CosPlaceSettings(views=8, cell_m=2000e3, stride=2, turn=1), world)


def student(taught: bool = True) -> Student:
    settings = STUDENT if taught else replace(STUDENT, regression=0.0, relational=0.0)
    return Student(NETWORK, scenes(), settings, teacher() if taught else None, ALONE)


RECIPES: dict[str, Callable[[], Any]] = {
    "astroloc": astroloc, "cosplace": cosplace, "student": student, "untaught": lambda: student(False)
}  # fmt: skip


def test_scenes_depend_on_seed_step_and_item_alone() -> None:
    one, threaded = scenes(), scenes(threads=3)
    first = views_of([pair.frame for pair in one.pairs(5, range(6))], SPAN_M, SIZE)
    torch.testing.assert_close(views_of([pair.frame for pair in threaded.pairs(5, range(6))], SPAN_M, SIZE), first)
    torch.testing.assert_close(views_of([pair.frame for pair in one.pairs(5, [4])], SPAN_M, SIZE), first[4:5])
    other = views_of([pair.frame for pair in one.pairs(6, range(6))], SPAN_M, SIZE)
    assert float((other - first).abs().amax((1, 2, 3)).min()) > 0.1
    places = np.array([[10.0, 20.0]] * 2)
    a, b = views_of(one.dated(0, range(2), places), SPAN_M, SIZE)
    assert float((a - b).abs().max()) > 0.05, "two dates of one place"


def test_no_scene_shows_a_region_held_out() -> None:
    near = scenes()
    assert not any(held_out(*pair.place, SPAN_M / 2) for step in range(3) for pair in near.pairs(step, range(20)))
    pool = near.pool(700e3)
    assert len(pool) > 100 and not any(held_out(lat, lon, SPAN_M / 2) for lat, lon in pool.tolist())


@pytest.mark.parametrize("stride", [2, 3])
def test_cells_of_a_group_are_never_neighbours(stride: int) -> None:
    found = CellClasses.tiled(scenes(), 900e3, stride)
    assert len(found.sizes) == stride**2
    for group, size in enumerate(found.sizes):
        members = found.group == group
        assert sorted(found.class_of[members]) == list(range(size))
        lat, lon = found.places[members].T
        apart = distance_m(lat[:, None], lon[:, None], lat[None], lon[None]) + 1e9 * np.eye(size)
        # Rows are of full height; along a row cells narrow a little towards its poleward edge and by rounding.
        assert apart.min() > 0.8 * stride * 900e3


def test_pair_and_place_losses_know_what_belongs_together() -> None:
    codes = torch.nn.functional.normalize(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    places = np.array([[0.0, 0.0], [0.0, 40.0], [30.0, 0.0], [30.0, 90.0]])
    assert (
        float(pair_loss(codes, codes, places, SPAN_M)) < float(pair_loss(codes, codes.roll(1, 0), places, SPAN_M)) - 0.5
    )
    twice = places.repeat(2, 0)
    together, mixed = codes.repeat_interleave(2, 0), codes.repeat(2, 1)
    assert float(place_loss(together, twice, SPAN_M)) < float(place_loss(mixed, twice, SPAN_M)) - 0.5
    # Places that share ground are neither: nothing pulls, nothing pushes.
    close = np.array([[0.0, 0.1 * k] for k in range(4)])
    assert float(place_loss(codes, close, SPAN_M)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", ["astroloc", "cosplace", "student"])
def test_steps_reduce_the_loss(name: str) -> None:
    recipe = RECIPES[name]()
    recipe.start()
    parameters = [parameter for group in recipe.groups() for parameter in group["params"]]
    optimizer = torch.optim.AdamW(parameters, lr=3e-5 if name == "astroloc" else 1e-3)
    losses = []
    for _ in range(8):
        if name == "student":
            recipe.memory = type(recipe.memory)(0, NETWORK.dim, ALONE.device)
        loss = sum(recipe.losses(1).values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, trainer.CLIP)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses[-3:]) < 0.85 * losses[0]


@pytest.mark.parametrize("name", ["astroloc", "cosplace"])
def test_a_fresh_teachers_codes_do_not_all_point_one_way(name: str) -> None:
    recipe = RECIPES[name]()
    pictures = [picture for pair in scenes().pairs(0, range(32)) for picture in (pair.map, pair.frame)]

    def likeness() -> torch.Tensor:
        with torch.no_grad():
            codes = teacher_codes(recipe.teacher, recipe.teacher, pictures, ALONE)
        return (codes @ codes.T)[~torch.eye(len(codes), dtype=torch.bool)]

    assert float(likeness().mean()) > 0.5
    recipe.start()
    assert abs(float(likeness().mean())) < 0.05 and float(likeness().std()) < 0.3


def test_a_groups_turn_begins_with_the_codes_of_its_maps() -> None:
    recipe = CosPlace(teacher(), scenes(), CosPlaceSettings(views=8, cell_m=2000e3, stride=2, turn=2), ALONE)
    recipe.start()
    first, second = recipe.weights[:2]
    recipe.losses(0)
    maps = recipe.scenes.maps(recipe.classes.places[recipe.classes.group == 0])
    with torch.no_grad():
        torch.testing.assert_close(first, teacher_codes(recipe.teacher, recipe.teacher, maps, ALONE))
        assert not second.any()
        first.zero_()
        recipe.losses(1)
        assert not first.any(), "within the turn they are learned, not replaced"
        recipe.losses(2)
        assert second.any() and not first.any()


@pytest.mark.parametrize("name", RECIPES)
def test_an_interrupted_training_ends_with_the_same_weights(name: str, tmp_path: Path) -> None:
    whole = RECIPES[name]()
    fit(whole, RUN, {"name": name}, tmp_path / "whole", ALONE)
    broken = RECIPES[name]()
    real, calls = broken.losses, []

    def losses_or_stop(step: int) -> Any:
        calls.append(step)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return real(step)

    broken.losses = losses_or_stop
    with pytest.raises(KeyboardInterrupt):
        fit(broken, RUN, {"name": name}, tmp_path / "broken", ALONE)
    resumed = RECIPES[name]()
    fit(resumed, RUN, {"name": name}, tmp_path / "broken", ALONE)
    for a, b in zip(_tensors(whole.state()), _tensors(resumed.state())):
        assert torch.equal(a, b)
    assert json.loads((tmp_path / "broken" / "settings.json").read_text())["run"]["steps"] == 3


def _tensors(state: Any) -> list:
    if isinstance(state, torch.Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, list) else []
    return [tensor for part in parts for tensor in _tensors(part)]


def test_another_or_a_damaged_training_is_refused(tmp_path: Path) -> None:
    fit(cosplace(), replace(RUN, steps=1), {}, tmp_path, ALONE)
    with pytest.raises(TrainingError, match="other settings"):
        fit(cosplace(), RUN, {}, tmp_path, ALONE)
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(TrainingError, match=r"checkpoint\.pt"):
        fit(cosplace(), RUN, {}, tmp_path, ALONE)


def _train_shared(rank: int, port: int, folder: Path) -> None:
    import os

    os.environ.update(WORLD_SIZE="2", RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    with joined_world("cpu") as world:
        for name, make in (("astroloc", astroloc), ("cosplace", cosplace)):
            fit(make(world), replace(RUN, steps=1, warmup=1), {"name": name}, folder / name, world)


def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_train_shared, args=(rank, port, tmp_path)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    for name, make in (("astroloc", astroloc), ("cosplace", cosplace)):
        alone = make()
        fit(alone, replace(RUN, steps=1, warmup=1), {"name": name}, tmp_path / "alone" / name, ALONE)
        shared = torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["recipe"]["teacher"]
        start = teacher().state_dict()
        for key, value in alone.teacher.state_dict().items():
            # Sums in another order, then divided by AdamW's root of almost nothing: equal to a small part of a step.
            torch.testing.assert_close(shared[key], value, atol=1e-4, rtol=1e-3)
        moved = max(float((value - start[key]).abs().max()) for key, value in alone.teacher.state_dict().items())
        assert moved > 5e-4


@pytest.mark.parametrize("name", ["astroloc", "cosplace", "student"])
def test_a_batch_that_does_not_divide_is_refused_before_the_start(name: str) -> None:
    three = World(0, 3, torch.device("cpu"))
    with pytest.raises(ShareError, match=r"8 items of a step do not divide among 3 processes: give another --batch"):
        Student(NETWORK, scenes(), STUDENT, teacher(), three) if name == "student" else RECIPES[name](three)


def test_a_resumed_trainings_log_names_every_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Constant:
        """Learns nothing; stops as it is told."""

        def __init__(self, stop: int | None) -> None:
            self.weight, self.stop = torch.nn.Parameter(torch.zeros(1)), stop

        def groups(self) -> list:
            return [{"params": [self.weight], "share": 1.0}]

        def start(self) -> None:
            pass

        def state(self) -> dict:
            return {}

        def load_state(self, state: dict) -> None:
            pass

        def losses(self, step: int) -> dict:
            clock.append(clock[-1] + 1)
            if step == self.stop:
                raise KeyboardInterrupt
            return {"a": self.weight.sum()}

    clock = [0.0]
    monkeypatch.setattr("export.trainer.time", SimpleNamespace(monotonic=lambda: clock[-1]))
    run = RunSettings(0, 200, 1e-3, checkpoint_every=60)
    with pytest.raises(KeyboardInterrupt):
        fit(Constant(110), run, {}, tmp_path, ALONE)
    seconds = fit(Constant(None), run, {}, tmp_path, ALONE)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(20, 201, 20))
    assert [line["s"] for line in lines] == [line["step"] for line in lines], "a second a step, whoever did it"
    assert seconds == fit(Constant(None), run, {}, tmp_path, ALONE) == 200


def test_few_places_still_make_clusters(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    maps, frames = (rng.standard_normal((count, 16)).astype(np.float32) for count in (40, 100))
    found = MapClusters.found(maps, frames, 50, 0)
    assert len(found.share) == 20 and found.share.sum() == pytest.approx(1)
    assert len(set(found.cluster[found.draw(rng, 8)])) == 1
    nowhere = replace(scenes(), settings=replace(scenes().settings, min_land=2.0))
    with pytest.raises(TrainingError, match="0 places on land"):
        AstroLoc(teacher(), nowhere, AstroLocSettings(), ALONE)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"size": 50}, "multiple of 8"),
        ({"channels": 16}, "at least --channels 32"),
        ({"size": 16, "dim": 129}, "at most --dim 128"),  # further directions would be copies
    ],
)
def test_a_network_that_cannot_be_is_refused(changed: dict, told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        replace(NETWORK, **changed)


def test_a_teacher_survives_its_file(tmp_path: Path) -> None:
    made = teacher().eval()
    save_teacher(made, tmp_path / "teacher.pt")
    encoder = TorchEncoder(load_teacher(tmp_path / "teacher.pt"), TEACHER, torch.device("cpu"))
    views = views_of(scenes().maps(np.array([[0.0, 0.0], [10.0, 30.0]])), SPAN_M, SIZE)
    with torch.no_grad():
        np.testing.assert_allclose(encoder.encode(views.numpy()), made(views).numpy(), atol=1e-6)
    (tmp_path / "teacher.pt").write_bytes(b"damaged")
    with pytest.raises(TeacherError, match=r"teacher\.pt"):
        load_teacher(tmp_path / "teacher.pt")
    with pytest.raises(TeacherError, match="clusters"):
        Teacher(replace(TEACHER, clusters=64))
    with pytest.raises(BackboneError, match="neither"):
        load_backbone(str(tmp_path))


def test_a_dinov2_checkpoint_becomes_a_teacher(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2Config(
        hidden_size=24, num_hidden_layers=6, num_attention_heads=2, image_size=28, patch_size=14
    )
    torch.manual_seed(0)
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "dinov2")
    made = Teacher(replace(TEACHER, backbone=str(tmp_path / "dinov2"), size=56))
    views = views_of(scenes().maps(np.array([[0.0, 0.0], [10.0, 30.0]])), SPAN_M, 56)
    made(views).sum().backward()
    trained = {name for name, parameter in made.backbone.named_parameters() if parameter.grad is not None}
    assert trained and not any(".layer.0." in name or ".layer.1." in name or "embeddings" in name for name in trained)
    assert any(".layer.2." in name for name in trained) and any(".layer.5." in name for name in trained)
    # The patch tokens lie as the picture does: what changes one corner changes its feature most.
    with torch.no_grad():
        spoilt = views.clone()
        spoilt[:, :, :14, 42:] += 3
        change = (made.backbone(spoilt)[0] - made.backbone(views)[0]).square().sum(1)[0]
    assert int(change.argmax()) == 3
    save_teacher(made, tmp_path / "teacher.pt")
    (tmp_path / "dinov2").rename(tmp_path / "gone")
    again = load_teacher(tmp_path / "teacher.pt")
    with torch.no_grad():
        torch.testing.assert_close(again(views), made.eval()(views))


def test_a_student_turned_towards_its_teacher_keeps_its_angles() -> None:
    network = Network(NETWORK).eval()
    views = views_of(scenes().maps(np.random.default_rng(0).uniform(-60, 60, (40, 2))), SPAN_M, SIZE)
    with torch.no_grad():
        before = torch.nn.functional.normalize(network(views), dim=1)
        turn = torch.linalg.qr(torch.randn(32, 32, generator=torch.Generator().manual_seed(0)))[0]
        turn_head(network, network(views), before @ turn)
        after = torch.nn.functional.normalize(network(views), dim=1)
    torch.testing.assert_close(after @ after.T, before @ before.T, atol=1e-4, rtol=1e-4)
    assert float((after * (before @ turn)).sum(1).min()) > 0.999


def test_a_student_that_cannot_fly_or_learn_is_refused() -> None:
    def made(network: NetworkSettings, settings: StudentSettings, master: Teacher | None = None) -> Student:
        return Student(network, scenes(), settings, master, ALONE)

    alone = replace(STUDENT, regression=0.0, relational=0.0)
    with pytest.raises(TrainingError, match="too large for flight"):
        made(replace(NETWORK, size=96, channels=96, blocks=8), alone)
    with pytest.raises(TrainingError, match="too large for flight"):
        made(replace(NETWORK, dim=512), alone)
    with pytest.raises(TrainingError, match=r"give at least --closed-form-pairs 16"):
        made(NETWORK, replace(alone, closed_form_pairs=15))
    with pytest.raises(TrainingError, match="nothing to learn"):
        made(NETWORK, replace(STUDENT, metric=0.0))
    with pytest.raises(TrainingError, match="at least --turns"):
        made(replace(NETWORK, turns=2), STUDENT, teacher())
    with pytest.raises(TrainingError, match=r"at most --reach-km 12\.5"):
        made(replace(NETWORK, reach_m=30e3), STUDENT, teacher())


def test_the_cost_of_a_network_by_hand() -> None:
    network = Network(replace(NETWORK, channels=40, blocks=1))
    parameters = 40 * 170 + (40 * 40 * 9 + 80) + 40 * 145 + (40 * 16 + 1) * 32
    side = SIZE // 2
    multiplications = side**2 * 40 * 169 + side**2 * 40 * 40 * 9 + (side // 4) ** 2 * 40 * 144 + 40 * 16 * 32
    assert cost(network, SIZE) == (parameters, 2.0 * multiplications)


def test_the_ablation_measures_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0, 5)
    monkeypatch.setattr("export.trainer.time", SimpleNamespace(monotonic=lambda: next(clock)))
    places = scenes().pool(2500e3)
    queries = list(simulated_queries(scenes().studio, 4, 0))
    # A query is looked at from all over a cell: from ten thousand places, were they as far apart as these.
    bench = Bench(scenes().maps(places), places, [at for at, _ in queries], [at for _, at in queries], 150e3)
    table = rows(NETWORK, STUDENT, taught=True)
    names = [row.name for row in table]
    assert len(set(names)) == len(names) and {"closed form", "all three", "own metric, 1 turns"} <= set(names)
    chosen = [row for row in table if row.name in ("closed form", "regression")]
    lines = ablate(chosen, scenes(), teacher(), bench, 1e-3, tmp_path, {"mosaic": ["a"]}, ALONE, lambda line: None)
    assert [line["steps"] for line in lines] == [0, 1] and all(0 <= line["R@5"] <= 100 for line in lines)
    again = ablate(chosen, scenes(), teacher(), bench, 1e-3, tmp_path, {"mosaic": ["a"]}, ALONE, lambda line: None)
    for seconds, mosaic in ((1e-3, "b"), (2e-3, "a")):
        with pytest.raises(TrainingError, match="other settings"):
            ablate(
                chosen, scenes(), teacher(), bench, seconds, tmp_path, {"mosaic": [mosaic]}, ALONE, lambda line: None
            )
    assert [line["R@20"] for line in again] == [line["R@20"] for line in lines]
    assert all(later["s"] >= line["s"] > 0 for later, line in zip(again, lines)), "what was spent on a row stays told"


def test_the_ablation_leaves_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.cli_global._scenes", lambda *_: scenes())
    monkeypatch.setattr("export.ablation.ablate", lambda *_: [{"row": "closed form"}])
    parser = argparse.ArgumentParser()
    cli_global.add_actions(parser.add_subparsers())
    asked = ["--mosaic", "F.tif", "--seconds", "1", "--looks", "2", "--spacing-km", "3000", "--out", str(tmp_path)]
    arguments = parser.parse_args(["ablate", *asked, "--device", "cpu", "--threads", "1"])
    assert arguments.run(arguments) == 0
    table = json.loads((tmp_path / "ablation.json").read_text())
    assert table["rows"] == [{"row": "closed form"}] and table["cells"] > 10


def test_the_rate_rises_and_falls() -> None:
    run = RunSettings(0, steps=100, rate=1.0, warmup=10)
    shares = [run.rate_share(step) for step in range(100)]
    assert shares[0] == 0.1 and max(shares) == 1.0 == shares[10] and shares[-1] < 1e-3
