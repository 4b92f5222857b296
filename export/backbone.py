"""What a teacher sees with: DINOv2 from a checkpoint the user has, or a convolutional network from scratch."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from onboard.errors import MissingPackageError, NadirError

SCRATCH = "scratch"
# Blocks of a pretrained transformer that are trained, the last ones; the others keep what they know (SALAD, section 4).
TRAINED_BLOCKS = 4


class BackboneError(NadirError):
    """A backbone that cannot be loaded as asked."""


class Residual(nn.Module):
    """x + conv(relu(norm(x))) twice, pre-activated (He et al., ECCV 2016). Group normalisation (Wu and He, ECCV 2018),
    so that a code never depends on what else is in the batch, nor on how many GPUs share it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.GroupNorm(8, channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class ConvBackbone(nn.Module):
    """Views (N, 1, S, S) to features (N, 256, S / 8, S / 8) and their mean as a token (N, 256). S: a multiple of 8."""

    channels = 256
    step_px = 8
    pretrained = False

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        stages: list[nn.Module] = [nn.Conv2d(1, width, 7, stride=2, padding=3), Residual(width)]
        for wider in (2 * width, self.channels):
            stages += [nn.Conv2d(stages[-2].out_channels, wider, 3, stride=2, padding=1), Residual(wider)]  # type: ignore[arg-type]
        self.stages = nn.Sequential(*stages, Residual(self.channels), nn.GroupNorm(8, self.channels))

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        features = self.stages(views)
        return features, features.mean((2, 3))

    def description(self) -> dict[str, Any]:
        return {"kind": SCRATCH}


class Dinov2Backbone(nn.Module):
    """DINOv2 (Oquab et al., arXiv 2304.07193) of the package transformers: views (N, 1, S, S) to its patch tokens
    (N, C, S / patch, S / patch) and class token (N, C). S: a multiple of the patch, 14 pixels in the published ones."""

    pretrained = True

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.channels, self.step_px = int(model.config.hidden_size), int(model.config.patch_size)
        self.model.embeddings.requires_grad_(False)
        for block in self.model.encoder.layer[:-TRAINED_BLOCKS]:
            block.requires_grad_(False)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        # A view is grey and of about unit deviation, which is how the published weights expect each colour.
        tokens = self.model(pixel_values=views.expand(-1, 3, -1, -1)).last_hidden_state
        side = views.shape[-1] // self.step_px
        return tokens[:, 1:].transpose(1, 2).unflatten(2, (side, side)), tokens[:, 0]

    def description(self) -> dict[str, Any]:
        return {"kind": "dinov2", "config": self.model.config.to_dict()}


def load_backbone(name: str) -> ConvBackbone | Dinov2Backbone:
    """``scratch``, or the directory of a DINOv2 checkpoint as transformers saves it. Raises BackboneError."""
    if name == SCRATCH:
        return ConvBackbone()
    if not (Path(name) / "config.json").exists():
        raise BackboneError(
            f"{name}: neither {SCRATCH!r} nor a directory with a checkpoint of transformers (config.json)"
        )
    try:
        return Dinov2Backbone(_transformers().Dinov2Model.from_pretrained(name, local_files_only=True))
    except (OSError, ValueError) as error:
        raise BackboneError(f"{name}: not a DINOv2 checkpoint that transformers can load ({error})") from error


def described_backbone(description: dict[str, Any]) -> ConvBackbone | Dinov2Backbone:
    """An untrained backbone of a `description`, to be filled from a state dict; the checkpoint is not needed again."""
    if description["kind"] == SCRATCH:
        return ConvBackbone()
    package = _transformers()
    return Dinov2Backbone(package.Dinov2Model(package.Dinov2Config.from_dict(description["config"])))


def _transformers() -> Any:
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"DINOv2 needs the package {error.name!r}: pip install '.[dinov2]'") from error
    return transformers
