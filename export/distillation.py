"""What a student owes its teacher: the same codes, and the same distances between codes."""

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss


def regression(student: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of unit codes (N, D) to the teacher's: 2 - 2 cos. The student then searches a map that the
    teacher embedded (asymmetric retrieval; Budnik and Avrithis, CVPR 2021)."""
    return (student - target).square().sum(1).mean()


def relational(student: Tensor, teacher: Tensor) -> Tensor:
    """Relational distillation of distances (Park et al., CVPR 2019, equations 4 to 6) of codes (N, D) and (N, E):
    Huber's loss between all pairs' distances, each in units of their mean. It needs no common dimension."""
    return smooth_l1_loss(_distances(student), _distances(teacher.to(student.dtype)))


def _distances(codes: Tensor) -> Tensor:
    """The N (N - 1) / 2 distances between codes, over their mean."""
    row, column = torch.triu_indices(len(codes), len(codes), 1, device=codes.device)
    distance = (codes[row] - codes[column]).square().sum(1).clamp_min(1e-12).sqrt()
    return distance / distance.mean()
