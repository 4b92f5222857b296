"""The descriptor network as INT8, and what that costs on pairs never trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from export.keypoint_pairs import PatchPairs
from export.patch_evaluate import PatchReport, inner_patches, read_held_out, report_patches
from export.quantize import quantize
from export.shards import TRAINING, read_shards
from onboard.describer import PatchNetwork
from onboard.patch_model import normalised
from onboard.whole_file import whole

TOLERATED = 0.005  # of recall_1, lost


@dataclass(frozen=True)
class Int8Report:
    """The same pairs described by the network as it was and by the quantized one; likeness: their mean cosine."""

    float32: PatchReport
    int8: PatchReport
    likeness: float

    @property
    def lost(self) -> float:
        """Recall at rank one that is gone."""
        return self.float32.recall_1 - self.int8.recall_1


def calibration_patches(pairs: PatchPairs, count: int, seed: int) -> NDArray[np.uint8]:
    """Patches (count, 32, 32): of frames, of the map, and of what has no partner (cloud, glint), mixed evenly."""
    rng = np.random.default_rng([seed, 2])
    each = -(-count // 3)
    parts = [
        inner_patches(side[np.sort(rng.choice(len(side), min(each, len(side)), replace=False))])
        for side in (pairs.frame, pairs.map, pairs.strangers)
    ]
    return rng.permutation(np.concatenate(parts))[:count]


def quantize_descriptor(source: Path, target: Path, pairs: Path, count: int, seed: int) -> Int8Report:
    """Write ``source`` as INT8 to ``target``, calibrated on ``count`` patches of the training pairs; its likeness is
    measured anew on the pairs held out. Raises ShardError, PackError, QuantizationError, GraphError.
    """
    original, held_out = PatchNetwork(source), read_held_out([pairs])
    with whole(target) as part:
        quantize(source, part, normalised(calibration_patches(read_shards([pairs], TRAINING, PatchPairs), count, seed)))
        sides = [inner_patches(side) for side in (held_out.frame, held_out.map)]
        before = [original.encode(side) for side in sides]
        quantized = PatchNetwork(part)
        after = [quantized.encode(side) for side in sides]
        cosine = float(np.mean([np.einsum("ij,ij->i", *both).mean() for both in zip(before, after)]))
        report = Int8Report(report_patches(before[0], before[1]), report_patches(after[0], after[1]), cosine)
        model = onnx.load(str(part))
        low, high = report.int8.likeness
        props = {entry.key: entry.value for entry in model.metadata_props}
        onnx.helper.set_model_props(model, props | {"likeness_low": f"{low:.4f}", "likeness_high": f"{high:.4f}"})
        onnx.save(model, str(part))
    return report
