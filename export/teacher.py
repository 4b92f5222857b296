"""The teacher: a backbone, SALAD pooling and a linear layer to codes; the file that holds it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from export.backbone import ConvBackbone, Dinov2Backbone, described_backbone, load_backbone
from export.salad import Salad
from export.scenes import REACH_M
from onboard.errors import NadirError
from onboard.whole_file import whole


class TeacherError(NadirError):
    """A teacher that cannot be made or read as asked."""


@dataclass(frozen=True)
class TeacherSettings:
    """backbone: `export.backbone.load_backbone`'s name; size: pixels a side of the view; span_m: its side on the
    ground; dim: length of the code; turns: how many turns of a frame the search tries (1: codes for any heading);
    clusters, cluster_dim, token_dim: of SALAD; reach_m: as `onboard.encoder.ViewEncoder` has it."""

    backbone: str
    size: int
    span_m: float
    dim: int = 2048
    turns: int = 1
    clusters: int = 64
    cluster_dim: int = 128
    token_dim: int = 256
    reach_m: float = REACH_M


class Teacher(nn.Module):
    """Views (N, 1, size, size) to codes (N, dim) of unit length. Raises TeacherError for a size that does not fit."""

    def __init__(self, settings: TeacherSettings, backbone: ConvBackbone | Dinov2Backbone | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = backbone or load_backbone(settings.backbone)
        step = self.backbone.step_px
        if settings.size % step or (settings.size // step) ** 2 <= settings.clusters:
            raise TeacherError(
                f"views of {settings.size} pixels do not fit: a multiple of {step} is needed, with more than "
                f"{settings.clusters} (the clusters of SALAD) patches of {step} x {step}"
            )
        self.pool = Salad(self.backbone.channels, settings.clusters, settings.cluster_dim, settings.token_dim)
        self.projection = nn.Linear(self.pool.out_features, settings.dim)

    def projected(self, views: Tensor) -> Tensor:
        """The codes before they are normalised."""
        return self.projection(self.pool(*self.backbone(views)))

    def forward(self, views: Tensor) -> Tensor:
        return normalize(self.projected(views).float(), dim=1)


def save_teacher(teacher: Teacher, path: Path) -> None:
    """One file with weights, settings and the backbone's description: all that `load_teacher` needs."""
    description = {"settings": asdict(teacher.settings), "backbone": teacher.backbone.description()}
    with whole(path) as part:
        torch.save({"description": json.dumps(description), "weights": teacher.state_dict()}, part)


def load_teacher(path: Path) -> Teacher:
    """The teacher of a file, in evaluation mode. Raises TeacherError when it is missing, damaged or of other form."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        description = json.loads(saved["description"])
        teacher = Teacher(TeacherSettings(**description["settings"]), described_backbone(description["backbone"]))
        teacher.load_state_dict(saved["weights"])
    except NadirError:
        raise
    except Exception as error:  # torch raises many kinds
        raise TeacherError(f"{path}: not a teacher of 'nadir export teacher' ({error})") from error
    return teacher.eval()
