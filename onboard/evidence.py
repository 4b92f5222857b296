"""What the localizer saw in one frame: everything it decided on, kept for whoever asks why."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onboard.camera import Camera
from onboard.clock import Clock
from onboard.fix import Fix, Status, no_fix
from onboard.intake import Screening
from onboard.matches import View
from onboard.pose import PoseKnowledge
from onboard.rectify import Rectified
from onboard.verification import Consensus

if TYPE_CHECKING:
    from onboard.localizer import Hypothesis


@dataclass(eq=False)
class Evidence:
    """Written by the pipeline on its way through one frame; what it did not reach stays None or empty.

    camera: at the frame's size; worldwide: matches with the nearest landmarks of the Earth; agreements: of every
    candidate that was verified, heaviest first; hypotheses: those to which a pose was fitted, best score first; fix:
    the answer. Times are the clock's.
    """

    clock: Clock
    known: PoseKnowledge | None = None
    camera: Camera | None = None
    screening: Screening | None = None
    rectified: Rectified | None = None
    view: View | None = None
    worldwide: int = 0
    agreements: Sequence[Consensus] = ()
    hypotheses: Sequence["Hypothesis"] = ()
    fix: Fix = field(default_factory=lambda: no_fix(Status.BAD_FRAME, "not looked at yet"))
