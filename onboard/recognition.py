"""Recognition: a placement grown to the whole frame, its pose, and the landmarks that are recognised under it.

What they weigh is what a fix is judged by: right places show tens to hundreds of their landmarks just where they must
be, wrong ones by chance a few (docs/decisions.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onboard.camera import Camera
from onboard.clock import Clock
from onboard.corroboration import corroboration
from onboard.frame_pose import Scene, settled, told_pose
from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.ground_plane import as_ground, offsets_of
from onboard.growth import FIRST_PX, grown, one_a_square, spread
from onboard.guided import Guide
from onboard.hypothesis import Hypothesis
from onboard.hypothesis_fit import points_of
from onboard.landmarks import Catalogue
from onboard.matches import SPOT_PX, View
from onboard.placement import Placement, fit_similarity
from onboard.pose import (
    CREDIBLE_SIGMAS,
    NOT_CONTRADICTED,
    Contradiction,
    Pose,
    PoseKnowledge,
    contradiction,
    vagueness,
)
from onboard.retake import laid_out_for_itself
from onboard.reversal import likelier
from onboard.verification import REACH_PX, Consensus

_AGREEMENTS = 4  # the heaviest, that are looked at; a right one of two votes is not always first (docs/decisions.md)
_FEWEST_AGREEING = 2  # matches that turn and place a frame
# Landmarks looked for at first, evenly spread. What shows fewer than promise something is not looked at further: right
# places showed 21 and more, wrong ones 7 and fewer but for three of 36 (docs/decisions.md). Where they are not plenty,
# all in view are looked for.
_SAMPLE, _PROMISING, _PLENTY = 600, 8, 80
# A pose that knows worse than that what was told, in the telling's sigmas, may be bent to it (onboard/reversal.py).
_VAGUE_SIGMAS = 0.75


@dataclass(frozen=True, eq=False)
class Recognition:
    """An agreement looked at landmark by landmark. placement: what it grew to; pose: None when none holds it, or only
    one that contradicts what was told; contradiction: by how much (`onboard.pose.contradiction`); recognised:
    how many landmarks the frame shows where the pose, told or not, has them, in distinct spots; weight: what these say
    together (`onboard.corroboration`); landmarks (N,) int64 and pixels (N, 2): those recognised, and where the camera
    saw them."""

    agreement: Consensus
    placement: Placement
    pose: Pose | None = None
    contradiction: Contradiction = NOT_CONTRADICTED
    recognised: int = 0
    weight: float = 0.0
    landmarks: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    pixels: Array = field(default_factory=lambda: np.empty((0, 2)))

    def hypothesis(self, catalogue: Catalogue, score: float) -> Hypothesis:
        """The same in a tracker's terms, every landmark of one weight; score: of an agreement that is as unlikely."""
        points = points_of(catalogue, self.landmarks)
        weights = np.ones(len(points), np.float32)
        return Hypothesis(self.agreement.candidate, self.pose, self.recognised, score, points, weights)


def recognitions(
    guide: Guide,
    view: View,
    camera: Camera,
    known: PoseKnowledge,
    agreements: Sequence[Consensus],
    enough: float,
    clock: Clock,
    sides: bool = True,
) -> list[Recognition]:
    """What was recognised at the heaviest agreements (heaviest first), the heaviest first; the rest is not looked at
    once one weighs more than ``enough``, nor a place again that a pose was found for. sides: whether a pose aslant of
    what was told is looked at in the frame laid out for it (`onboard.retake`), and a vague one held against others from
    which the same ground looks alike (`onboard.reversal`), as must be where nothing else tells them apart."""
    found: list[Recognition] = []
    for agreement in agreements[:_AGREEMENTS]:
        clock.check()
        if agreement.agree.sum() < _FEWEST_AGREEING or any(_holds(one, agreement, view) for one in found):
            continue
        found.append(recognise(guide, view, camera, known, agreement, clock, sides))
        if found[-1].weight > enough:
            break
    return sorted(found, key=lambda one: -one.weight)


def _holds(one: Recognition, agreement: Consensus, view: View) -> bool:
    """Whether the pose of a recognition is about where another agreement has the frame."""
    apart = np.linalg.norm(one.placement.unit - np.array(agreement.candidate.unit)) * EARTH_RADIUS_M
    return one.pose is not None and bool(apart < REACH_PX * view.gsd_m)


def placement_of(guide: Guide, view: View, consensus: Consensus) -> tuple[Placement, complex]:
    """A consensus as a placement, and the ground offset of the match around which most others agree: what lies in the
    middle of them all may be under cloud."""
    candidate, agreeing = consensus.candidate, consensus.matches[consensus.agree]
    rough = Placement(np.array(candidate.unit), candidate.heading_deg)
    expected, _ = rough.expected(guide.catalogue, agreeing.landmark)
    seen = as_ground(view.ground_m[agreeing.feature])
    weight = consensus.weight[consensus.agree].astype(np.float64)
    factor, shift = fit_similarity(seen, expected, weight, view.gsd_m)
    beside = np.abs(seen[:, None] - seen) < FIRST_PX * view.gsd_m
    return rough.moved(factor, shift), complex(seen[(beside @ weight).argmax()])


def recognise(
    guide: Guide,
    view: View,
    camera: Camera,
    known: PoseKnowledge,
    agreement: Consensus,
    clock: Clock,
    sides: bool = True,
) -> Recognition:
    """What becomes of an agreement."""
    placement, middle = placement_of(guide, view, agreement)
    whole = grown(guide, view, placement, middle)
    if whole is None:
        return Recognition(agreement, placement)
    scene = Scene(guide, view, camera, known, whole, clock)
    everything = guide.expected(view, whole, 0j, float(np.abs(view.corners).max()))
    expected = everything[spread(everything, _SAMPLE)]
    recognised = scene.recognised(expected)
    if len(recognised) < _PROMISING:
        return Recognition(agreement, whole)
    if len(recognised) < _PLENTY:
        expected, recognised = everything, scene.recognised(everything)
    measured = settled(scene, expected, recognised)
    if measured is None:
        return Recognition(agreement, whole)
    off = contradiction(measured.pose, known)
    if sides and off.sigmas < CREDIBLE_SIGMAS:
        side = laid_out_for_itself(scene, everything, measured)
        off = contradiction(side[2].pose, known)
        if off.sigmas < CREDIBLE_SIGMAS and vagueness(side[2].pose, known) > _VAGUE_SIGMAS:
            side = likelier(*side)
            off = contradiction(side[2].pose, known)
        if side[0] is not scene:
            scene, everything, measured = side
            expected = everything
    pose, seen = None, measured.recognised
    if off.sigmas < CREDIBLE_SIGMAS:
        pose = told_pose(scene, measured, everything)
        if pose is None:
            return Recognition(agreement, whole)
        seen = scene.recognised(scene.under(pose, expected))
    pixels = camera.project(scene.view.plane.to_camera(offsets_of(seen.ground)))
    spots = seen.xy[one_a_square(seen.xy, SPOT_PX)]
    return Recognition(agreement, whole, pose, off, len(spots), corroboration(spots), seen.numbers, pixels)
