"""What the localizer saw in one frame: everything it decided on, kept for whoever asks why."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.clock import Clock
from onboard.fix import Fix, Status, no_fix
from onboard.hypothesis import Hypothesis
from onboard.intake import Screening
from onboard.matches import View
from onboard.pose import PoseKnowledge
from onboard.recognition import Recognition
from onboard.rectify import Rectified
from onboard.verification import Consensus


@dataclass(eq=False)
class Evidence:
    """Written by the pipeline on its way through one frame; what it did not reach stays None or empty.

    camera: at the frame's size; worldwide: sorted keys (`Matches.keys`) of the matches that voted; agreements: of every
    candidate that was verified, heaviest first; recognitions: what is judged, most landmarks first; hypotheses: the
    agreements with a pose, best score first, for a tracker and only where ``thorough``; fix: the answer. Times are the
    clock's.
    """

    clock: Clock
    thorough: bool = False
    known: PoseKnowledge | None = None
    camera: Camera | None = None
    screening: Screening | None = None
    rectified: Rectified | None = None
    view: View | None = None
    worldwide: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    agreements: Sequence[Consensus] = ()
    recognitions: Sequence[Recognition] = ()
    hypotheses: Sequence[Hypothesis] = ()
    fix: Fix = field(default_factory=lambda: no_fix(Status.BAD_FRAME, "not looked at yet"))
