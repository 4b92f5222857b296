"""The pipeline: intake, rectify, features, votes, agreements, recognition, judgement."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from onboard.acceptance import Acceptance
from onboard.blas import one_blas_thread
from onboard.camera import Camera
from onboard.camera_files import load_camera
from onboard.clock import Clock
from onboard.describer import describer_of
from onboard.errors import INTERNAL_ERROR, PackError
from onboard.evidence import Evidence
from onboard.features import RIM_PX, extract
from onboard.fix import Attitude, Fix, Prior, Status, Vertical, no_fix
from onboard.guided import Guide
from onboard.heap import one_heap
from onboard.hypothesis import Hypothesis, Sighting
from onboard.hypothesis_fit import fit_hypothesis
from onboard.intake import Rejected, as_rgb, camera_of_frame, screening
from onboard.judgement import JUDGED, judge
from onboard.knowledge import knowledge_of
from onboard.landmarks import Catalogue, search_index
from onboard.matches import View, view_of
from onboard.orientation import orientation_of
from onboard.pack import Pack, default_pack, open_pack
from onboard.picture import Picture, shrink_mask
from onboard.pose import PoseKnowledge
from onboard.proposals import agreements, in_reach, nearest_landmarks
from onboard.recognition import Recognition, recognitions
from onboard.rectify import Rectified, rectifier
from onboard.scrubbed import memory_scrubber
from onboard.search import Search
from onboard.verification import Verifier
from onboard.voting import Candidate, vote

_THREADS = 2
FEWEST_FEATURES = 30
_CERTAIN = 2.0  # times the least score: what no other place can contest


class Localizer:
    """A flight pack held ready. Loading checks every byte and raises PackError or CameraError; `localize` never
    raises. One frame at a time: a lock serialises callers.
    """

    def __init__(self, pack: str | Path | None = None, camera: Camera | str | Path | None = None) -> None:
        one_heap()
        self.pack = open_pack(pack if pack is not None else default_pack())
        if isinstance(camera, (str, Path)):
            camera = load_camera(camera)
        self.camera = camera or self.pack.mission.camera
        self.mission = self.pack.mission
        self.search = Search.from_plain(self.pack.manifest.get("search", {}))
        # A fix is judged by the landmarks recognised; a tracker weighs the agreements before.
        self.acceptance = Acceptance.from_plain(self.pack.manifest.get("recognition", {}))
        self.agreement_acceptance = Acceptance.from_plain(self.pack.manifest.get("acceptance", {}))
        self.catalogue = _catalogue(self.pack)
        self.describer = describer_of(self.pack, _THREADS)
        self.orientation = orientation_of(self.pack, _THREADS)
        if self.describer.dim != self.catalogue.coarse.shape[1]:
            raise PackError(f"{self.pack.path}: its landmarks are not described by its network; rebuild the pack")
        self._index = search_index(self.catalogue, self.search.probes)
        self._verifier = Verifier(self.catalogue, self.mission.gsd_m, self.search.scale_ratio, self.describer.likeness)
        self._guide = Guide(self.catalogue, self._verifier, self.describer)
        self._threads = ThreadPoolExecutor(_THREADS)  # numpy lets go of the interpreter while it works
        self._lock = threading.Lock()
        self._blas = one_blas_thread()
        self._scrubber = memory_scrubber(
            self.pack,
            self.catalogue,
            self._index,
            self._verifier,
            self.describer,
            self.orientation,
            self.camera,
            self._settings,
        )

    def localize(
        self,
        frame: Any,
        *,
        timestamp_ns: int | None = None,
        altitude_m: tuple[float, float] | None = None,
        attitude: Attitude | None = None,
        prior: Prior | None = None,
        vertical: Vertical | None = None,
        mount_heading_deg: float | None = None,
        deadline_ms: float | None = None,
    ) -> Fix:
        """Where the camera was when it took ``frame``: uint8, H×W×3 RGB or H×W.

        altitude_m: height above the ellipsoid and its sigma, which must hold what the focal length leaves open, too;
        vertical: where down is; the mission's when None, but that attitude and prior together tell the vertical. All
        enter as weighted residuals. mount_heading_deg: azimuth of the picture's up less that of flight, of a camera
        held alike along the orbit, known to a few degrees: says where to look first. Past ``deadline_ms``, another
        caller's frame included, the answer is TIMEOUT. Never raises; see `Fix` for the fields.
        """
        return self.examine(
            frame, timestamp_ns=timestamp_ns, altitude_m=altitude_m, attitude=attitude, prior=prior,
            vertical=vertical, mount_heading_deg=mount_heading_deg, deadline_ms=deadline_ms,
        ).fix  # fmt: skip

    def examine(
        self,
        frame: Any,
        *,
        timestamp_ns: int | None = None,
        altitude_m: tuple[float, float] | None = None,
        attitude: Attitude | None = None,
        prior: Prior | None = None,
        vertical: Vertical | None = None,
        mount_heading_deg: float | None = None,
        deadline_ms: float | None = None,
    ) -> Evidence:
        """`localize`, answered with all that was seen on the way; never raises either."""
        return self._examined(
            Evidence(Clock(deadline_ms)), frame, timestamp_ns,
            lambda: self.knowledge(altitude_m, attitude, prior, vertical, mount_heading_deg),
        )  # fmt: skip

    def sight(
        self,
        frame: Any,
        *,
        timestamp_ns: int | None = None,
        altitude_m: tuple[float, float] | None = None,
        mount_heading_deg: float | None = None,
        deadline_ms: float | None = None,
    ) -> Sighting:
        """The fix of a frame as `localize` gives it, and every place that was verified for it: what a tracker weighs
        together with other frames. Never raises; a frame that was not judged has no places, and none can be checked."""
        evidence = self._examined(
            Evidence(Clock(deadline_ms), thorough=True), frame, timestamp_ns,
            lambda: self.knowledge(altitude_m, mount_heading_deg=mount_heading_deg),
        )  # fmt: skip
        if evidence.fix.status not in JUDGED:
            return Sighting(evidence.fix)
        places = tuple(place for place in evidence.hypotheses if place.pose)
        if evidence.fix.status is Status.FIX:
            score = self.agreement_acceptance.score_of(evidence.fix.false_fix_probability)
            places = (evidence.recognitions[0].hypothesis(self.catalogue, score), *places)
        return Sighting(
            evidence.fix, places, evidence.view, evidence.camera, evidence.known, evidence.worldwide
        )  # fmt: skip

    def check(self, sighting: Sighting, candidates: Sequence[Candidate], sides: bool = True) -> list[Hypothesis]:
        """What a sighted frame says to places that its own votes did not propose: one hypothesis a candidate, in
        order; its score is the weight of the matches that agree there and, where a pose held, the number of landmarks
        recognised. Which score means something, the caller must find out: the pack is calibrated for places that were
        voted for. sides: whether vague poses are held against others from which the ground looks alike."""
        view, camera, known = sighting.view, sighting.camera, sighting.known
        if view is None or camera is None or known is None:
            return [Hypothesis.nothing_at(candidate) for candidate in candidates]
        with self._looking():
            seen = []
            for candidate in candidates:
                agreement = self._verifier.verify(candidate, view, sighting.worldwide)
                found = recognitions(self._guide, view, camera, known, [agreement], np.inf, Clock(None), sides)
                held = [one.hypothesis(self.catalogue, agreement.support + one.recognised) for one in found if one.pose]
                seen.append(held[0] if held else Hypothesis(candidate, None, 0, agreement.support))
            return seen

    def verified(self, view: View, camera: Camera, known: PoseKnowledge) -> list[Hypothesis]:
        """All verified candidates with their poses, best score first, as a tracker sees them."""
        evidence = Evidence(Clock(None), thorough=True)
        self._propose(view, camera, known, evidence)
        return list(evidence.hypotheses)

    @contextmanager
    def _looking(self, clock: Clock | None = None) -> Iterator[None]:
        """One caller at a time, of one localizer; raises Rejected when it is not this one's turn in time."""
        clock = clock or Clock(None)
        left_s = clock.left_s()
        if not self._lock.acquire(timeout=-1 if left_s is None else min(left_s, threading.TIMEOUT_MAX)):
            raise clock.late
        try:
            with self._blas.held():
                yield
        finally:
            self._lock.release()

    def _examined(
        self, evidence: Evidence, frame: Any, timestamp_ns: int | None, knowledge: Callable[[], PoseKnowledge]
    ) -> Evidence:
        clock = evidence.clock
        try:
            with self._looking(clock):
                try:
                    evidence.known = knowledge()
                    evidence.fix = self._localize(frame, evidence.known, timestamp_ns, evidence)
                except Rejected:
                    raise
                except Exception as error:  # flight software must get an answer whatever a frame holds
                    raise self._failure(error) from error
        except Rejected as rejected:
            evidence.fix = no_fix(
                rejected.status, rejected.reason, timestamp_ns=timestamp_ns, timings_ms=clock.timings_ms
            )
        return evidence

    def _failure(self, error: Exception) -> Rejected:
        """What an error that nobody thought of means: a catalogue that changed in memory fails in many ways."""
        if damage := self._scrubber.sweep():
            return Rejected(Status.PACK_CORRUPT, f"{damage}; load the pack again")
        return Rejected(Status.BAD_FRAME, f"{INTERNAL_ERROR}: {type(error).__name__}: {error}")

    def _localize(self, frame: Any, known: PoseKnowledge, timestamp_ns: int | None, evidence: Evidence) -> Fix:
        clock = evidence.clock
        with clock.stage("scrub"):
            self._scrubber.check()
        with clock.stage("intake"):
            evidence.camera = camera = camera_of_frame(frame, self.camera)
            evidence.screening = screening(frame, camera)
            evidence.screening.refuse()
        with clock.stage("features"):
            resample = rectifier(camera, known.plane, self.mission.gsd_m)
            clock.check()  # a vertical that is told anew with every frame has it made anew
            evidence.rectified = resample(as_rgb(frame))
            evidence.view = view = self.view_of_rectified(evidence.rectified, camera, clock)
        if len(view) < FEWEST_FEATURES:
            raise Rejected(Status.FEATURELESS, f"only {len(view)} features: cloud, open ocean or a closed cover")
        found = self.recognitions(view, camera, known, evidence)
        clock.check()
        return judge(found, self.acceptance, self.search.bin_m, timestamp_ns, clock.timings_ms)

    def recognitions(
        self, view: View, camera: Camera, known: PoseKnowledge, evidence: Evidence | None = None
    ) -> list[Recognition]:
        """What a view shows of the catalogue, looked at landmark by landmark: most landmarks first."""
        evidence = evidence or Evidence(Clock(None))
        self._propose(view, camera, known, evidence)
        enough = _CERTAIN * self.acceptance.least_score
        with evidence.clock.stage("recognise"):
            evidence.recognitions = found = recognitions(
                self._guide, view, camera, known, evidence.agreements, enough, evidence.clock
            )
        return found

    def _propose(self, view: View, camera: Camera, known: PoseKnowledge, evidence: Evidence) -> None:
        """The places worth a closer look: fills in worldwide, agreements, and hypotheses when they are asked for."""
        clock, search = evidence.clock, self.search
        with clock.stage("look-up"):
            near = in_reach(self._verifier.grid, search, view, known.whereabouts)
            matches, log_odds = nearest_landmarks(self._index, self.catalogue, search, view, near)
            evidence.worldwide = np.sort(matches.keys())
        with clock.stage("votes"):
            candidates = vote(matches, log_odds, view, self.catalogue, known, search)
        with clock.stage("verify"):
            evidence.agreements = agreements(
                self._verifier, candidates, view, evidence.worldwide, _CERTAIN * self.agreement_acceptance.least_score,
                self._threads, clock,
            )  # fmt: skip
            if evidence.thorough:
                fitted = [
                    fit_hypothesis(agreement, view, camera, known, self.catalogue) for agreement in evidence.agreements
                ]
                evidence.hypotheses = sorted(fitted, key=lambda hypothesis: -hypothesis.score)

    def view(self, frame: np.ndarray, camera: Camera, known: PoseKnowledge) -> View:
        """What a frame of ``camera`` shows, on the catalogue's scale."""
        return self.view_of_rectified(rectifier(camera, known.plane, self.mission.gsd_m)(as_rgb(frame)), camera)

    def view_of_rectified(self, rectified: Rectified, camera: Camera, clock: Clock | None = None) -> View:
        """The features of a rectified frame, and the camera pixels they came from."""
        picture = Picture.of(rectified.image, shrink_mask(rectified.mask, RIM_PX))
        search = self.search
        features = extract(picture, self.describer, self.orientation, search.features, search.directions, clock)
        return view_of(features, picture, rectified, camera)

    def _settings(self) -> bytes:
        """What decides beside arrays and network, as read now."""
        limits = self.acceptance, self.agreement_acceptance
        return repr((self.camera, self.mission, self.search, limits)).encode()

    def knowledge(
        self,
        altitude_m: tuple[float, float] | None = None,
        attitude: Attitude | None = None,
        prior: Prior | None = None,
        vertical: Vertical | None = None,
        mount_heading_deg: float | None = None,
    ) -> PoseKnowledge:
        """What the caller and the mission know together."""
        return knowledge_of(self.mission, altitude_m, attitude, prior, vertical, mount_heading_deg)


def _catalogue(pack: Pack) -> Catalogue:
    names = ("lat", "lon", "angle", "scale", "codes", "list_sizes", "coarse", "codebook")
    return Catalogue.from_arrays(
        {name: pack.array(f"landmarks_{name}") for name in names}, pack.mission.latitude_band_deg
    )


@lru_cache(maxsize=1)
def _default_localizer(pack: Path) -> Localizer:
    return Localizer(pack)


def localize(frame: Any, **knowledge: Any) -> Fix:
    """`Localizer.localize` with the default pack (`default_pack`), loaded at the first call and kept."""
    return _default_localizer(default_pack()).localize(frame, **knowledge)
