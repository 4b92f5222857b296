"""Losses, pooling, clusters and whitening of the global code, against computations by hand or slow references."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from export.distillation import regression, relational  # noqa: E402
from export.loss import (  # noqa: E402
    ALPHA,
    BASE,
    BETA,
    COSFACE_MARGIN,
    COSFACE_SCALE,
    MARGIN,
    cosface,
    multi_similarity,
)
from export.mum import MapClusters  # noqa: E402
from export.salad import Salad, transport  # noqa: E402
from export.whitening import Whitening  # noqa: E402

torch.set_num_threads(1)


def unit(count: int, dim: int, seed: int = 0) -> "torch.Tensor":
    codes = torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(codes, dim=1)


def slow_multi_similarity(codes: np.ndarray, others: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> float:
    """Equations 7 to 10 of Wang et al. (CVPR 2019), pair by pair."""
    total = 0.0
    for i in range(len(codes)):
        similar = others @ codes[i]
        near, far = min(similar[positive[i]], default=9) - MARGIN, max(similar[negative[i]], default=-9) + MARGIN
        hard_p = [s for s in similar[positive[i]] if s < far]
        hard_n = [s for s in similar[negative[i]] if s > near]
        total += np.log(1 + sum(np.exp(-ALPHA * (s - BASE)) for s in hard_p)) / ALPHA
        total += np.log(1 + sum(np.exp(BETA * (s - BASE)) for s in hard_n)) / BETA
    return total / len(codes)


@pytest.mark.parametrize("seed", range(5))
def test_multi_similarity_is_that_of_the_paper(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, others = unit(6, 3, seed), unit(9, 3, seed + 50)
    kind = rng.integers(0, 3, (6, 9))
    positive, negative = torch.from_numpy(kind == 0), torch.from_numpy(kind == 1)
    wanted = slow_multi_similarity(codes.numpy(), others.numpy(), kind == 0, kind == 1)
    assert float(multi_similarity(codes, others, positive, negative)) == pytest.approx(wanted, rel=1e-9)


def test_the_gradient_of_every_loss_is_its_slope() -> None:
    codes, others = unit(5, 4).requires_grad_(), unit(7, 4, 1)
    kind = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (5, 7)).astype(bool))
    label = torch.tensor([0, 3, 3, 6, 1])
    for loss in (
        lambda x: multi_similarity(x, others, kind, ~kind),
        lambda x: cosface(x @ others.T, label),
        lambda x: regression(x, others[:5]),
        lambda x: relational(x, others[:5]),
    ):
        assert torch.autograd.gradcheck(loss, (codes,))


def test_cosface_is_softmax_after_the_margin() -> None:
    cosine = torch.tensor([[0.9, 0.2, -0.4], [0.1, 0.3, 0.6]], dtype=torch.float64)
    label = torch.tensor([0, 1])
    wanted = 0.0
    for row, own in zip(cosine.numpy(), label.tolist()):
        right = np.exp(COSFACE_SCALE * (row[own] - COSFACE_MARGIN))
        wrong = sum(np.exp(COSFACE_SCALE * value) for other, value in enumerate(row) if other != own)
        wanted -= np.log(right / (right + wrong)) / 2
    assert float(cosface(cosine, label)) == pytest.approx(wanted, rel=1e-6)


def test_a_student_that_repeats_its_teacher_owes_nothing() -> None:
    teacher = unit(10, 6)
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    assert float(regression(teacher, teacher)) == 0
    assert float(regression(teacher, -teacher)) == pytest.approx(4.0)
    assert float(regression(unit(9, 4), unit(9, 4, 2))) == pytest.approx(
        float((2 - 2 * (unit(9, 4) * unit(9, 4, 2)).sum(1)).mean())
    )
    # Distances are all that counts, and only as ratios.
    assert float(relational(3 * teacher @ turn, teacher)) == pytest.approx(0, abs=1e-15)


def test_relational_distillation_by_hand() -> None:
    student = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    teacher = torch.tensor([[0.0], [1.0], [5.0]])
    own, other = np.array([1, 2, np.sqrt(5)]), np.array([1.0, 5.0, 4.0])
    gap = np.abs(own / own.mean() - other / other.mean())
    wanted = np.where(gap < 1, gap**2 / 2, gap - 0.5).mean()
    assert float(relational(student, teacher)) == pytest.approx(wanted, rel=1e-5)


def test_transport_gives_every_feature_and_takes_what_clusters_hold() -> None:
    scores = 3 * torch.randn(4, 5, 30, generator=torch.Generator().manual_seed(0))
    dustbin = torch.tensor(1.0)
    for iterations, near in ((3, None), (200, 1e-4)):
        plan = transport(scores, dustbin, iterations)
        left = 1 - plan.sum(1)  # what goes to the dustbin
        assert bool((plan >= 0).all()) and bool((left > -1e-5).all())
        if near is not None:
            torch.testing.assert_close(plan.sum(2), torch.ones(4, 5), atol=near, rtol=0)
            torch.testing.assert_close(left.sum(1), torch.full((4,), 25.0), atol=25 * near, rtol=0)
    # Nothing tells the features apart: all are shared out alike.
    torch.testing.assert_close(transport(torch.zeros(1, 5, 30), torch.zeros(())), torch.full((1, 5, 30), 1 / 30))
    with pytest.raises(ValueError, match="cannot fill"):
        transport(torch.zeros(1, 5, 5), dustbin)


def test_transport_is_the_plan_of_least_cost_when_scores_are_sharp() -> None:
    from scipy.optimize import linear_sum_assignment

    scores = torch.randn(1, 4, 9, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    full = np.concatenate([scores[0].numpy(), np.zeros((5, 9))])  # five places in the dustbin, of score 0
    rows, columns = linear_sum_assignment(-full)
    plan = transport(50 * scores, torch.zeros((), dtype=torch.float64), 500)[0].numpy()
    for row, column in zip(rows, columns):
        if row < 4:
            assert plan[row, column] > 0.9


def test_salad_codes_are_unit_and_ignore_the_order_of_features() -> None:
    torch.manual_seed(0)
    pool = Salad(8, clusters=3, cluster_dim=4, token_dim=5)
    features, token = torch.randn(2, 8, 4, 4), torch.randn(2, 8)
    codes = pool(features, token)
    assert codes.shape == (2, pool.out_features) == (2, 17)
    torch.testing.assert_close(codes.norm(dim=1), torch.ones(2))
    shuffled = features.flatten(2)[:, :, torch.randperm(16)].view(2, 8, 4, 4)
    torch.testing.assert_close(pool(shuffled, token), codes)
    codes.sum().backward()
    assert pool.dustbin.grad is not None and float(pool.dustbin.grad) != 0


def test_clusters_are_drawn_as_often_as_frames_fall_into_them() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(4, 8, dtype=np.float32)
    maps = (centres.repeat(25, 0) + 0.02 * rng.standard_normal((100, 8))).astype(np.float32)
    frames = centres[[0] * 60 + [1] * 30 + [3] * 10]
    found = MapClusters.found(maps, frames, 4, seed=0)
    blob = [found.cluster[25 * k] for k in range(4)]
    assert sorted(blob) == [0, 1, 2, 3] and all(len(set(found.cluster[25 * k : 25 * k + 25])) == 1 for k in range(4))
    np.testing.assert_allclose(found.share[blob], [0.6, 0.3, 0.0, 0.1])
    drawn = [found.draw(rng, 6) for _ in range(2000)]
    assert all(len(set(found.cluster[places])) == 1 and len(set(places)) == 6 for places in drawn)
    counts = np.bincount([found.cluster[places[0]] for places in drawn], minlength=4) / 2000
    np.testing.assert_allclose(counts[blob], [0.6, 0.3, 0.0, 0.1], atol=0.04)
    again = MapClusters.found(maps, frames, 4, seed=0)
    np.testing.assert_array_equal(found.cluster, again.cluster)
    assert len(found.draw(rng, 40)) == 40, "a small cluster's places come up more than once"


def test_a_cluster_of_one_place_is_never_drawn() -> None:
    maps = np.array([[1, 0], [0, 1], [0, 1.01], [0, 0.99]], np.float32)
    found = MapClusters.found(maps, np.array([[1, 0]] * 9 + [[0, 1]], np.float32), 2, seed=0)
    assert found.share[found.cluster[0]] == 0 and found.share[found.cluster[1]] == 1
    only = MapClusters.found(maps, np.array([[1, 0]], np.float32), 2, seed=0)
    assert only.share[only.cluster[1]] == 1, "where every frame fell beside, places are drawn evenly"


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_whitening_uncorrelates_and_folds_into_the_head(power: float) -> None:
    torch.manual_seed(1)
    mix = torch.randn(6, 6)
    codes = torch.randn(4000, 6) @ mix + 3
    found = Whitening.fitted(codes, 6, power)
    plain = (codes - found.mean) @ found.matrix
    covariance = plain.T @ plain / len(plain)
    variance = torch.linalg.eigvalsh(torch.cov(codes.T, correction=0)).flip(0)
    torch.testing.assert_close(covariance, torch.diag(variance ** (1 - power)), rtol=2e-3, atol=2e-3)
    head = torch.nn.Linear(5, 6)
    inputs = torch.randn(7, 5)
    wanted = found(head(inputs))
    found.fold(head)
    torch.testing.assert_close(torch.nn.functional.normalize(head(inputs), dim=1), wanted, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="directions"):
        Whitening.fitted(codes, 7, power)
