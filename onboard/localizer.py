"""The pipeline: intake, rectify, features, votes, verification, pose, acceptance."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.acceptance import Acceptance
from onboard.camera import Camera
from onboard.camera_files import load_camera
from onboard.clock import Clock
from onboard.describer import describer_of
from onboard.errors import PackError
from onboard.features import RIM_PX, extract, shrink_mask
from onboard.fix import Attitude, Fix, Prior, Status, no_fix
from onboard.geodesy import (
    EARTH_RADIUS_M,
    Array,
    ecef_from_geodetic,
    ecef_from_nadir_camera,
    ecef_from_ned,
    geodetic_from_ecef,
    heading_deg_of,
    unit_from_latlon,
)
from onboard.hypothesis import Hypothesis, Sighting
from onboard.intake import Rejected, as_rgb, camera_of_frame, screen
from onboard.landmarks import Catalogue, search_index
from onboard.matches import Matches, View, view_of
from onboard.pack import Pack, default_pack, open_pack
from onboard.pose import PoseKnowledge, quat_from_matrix, solve_pose
from onboard.rectify import Rectified, ground_to_camera, rectifier
from onboard.search import Search
from onboard.verification import Consensus, Verifier, distinct
from onboard.voting import Candidate, vote

_THREADS = 2
_SPOT_PX = 8  # keypoints within such a square are one witness
_TIGHT_PX = 2.0  # agreement asked of an inlier once the whole pose is fitted, in pixels of the catalogue
_LANDMARK_SIGMA_PX = 1.0  # 1-sigma of a matched landmark against its keypoint, in pixels of the catalogue
_FEWEST_FEATURES = 30
_FEWEST_INLIERS = 4
_REFINEMENTS = 4
_POSES = 4  # the best agreements, to which a whole pose is fitted


class Localizer:
    """A flight pack held ready. Loading checks every byte and raises PackError or CameraError; `localize` never
    raises. One frame at a time: a lock serialises callers.
    """

    def __init__(self, pack: str | Path | None = None, camera: Camera | str | Path | None = None) -> None:
        self.pack = open_pack(pack if pack is not None else default_pack())
        if isinstance(camera, (str, Path)):
            camera = load_camera(camera)
        self.camera = camera or self.pack.mission.camera
        self.mission = self.pack.mission
        self.search = Search.from_plain(self.pack.manifest.get("search", {}))
        self.acceptance = Acceptance.from_plain(self.pack.manifest.get("acceptance", {}))
        self.catalogue = _catalogue(self.pack)
        self.describer = describer_of(self.pack, _THREADS)
        if self.describer.dim != self.catalogue.coarse.shape[1]:
            raise PackError(f"{self.pack.path}: its landmarks are not described by its network; rebuild the pack")
        self._index = search_index(self.catalogue, self.search.probes)
        self._verifier = Verifier(self.catalogue, self.mission.gsd_m, self.search.scale_ratio, self.describer.likeness)
        self._threads = ThreadPoolExecutor(_THREADS)  # numpy lets go of the interpreter while it works
        self._lock = threading.Lock()

    def localize(
        self,
        frame: Any,
        *,
        timestamp_ns: int | None = None,
        altitude_m: tuple[float, float] | None = None,
        attitude: Attitude | None = None,
        prior: Prior | None = None,
        deadline_ms: float | None = None,
    ) -> Fix:
        """Where the camera was when it took ``frame``: uint8, H×W×3 RGB or H×W.

        altitude_m: height above the ellipsoid and its sigma, the mission's when None. attitude and prior enter as
        weighted residuals. Past ``deadline_ms`` the answer is TIMEOUT. Never raises; see `Fix` for the fields.
        """
        clock = Clock(deadline_ms)

        def look() -> Fix:
            view, camera, known = self._look(frame, self.knowledge(altitude_m, attitude, prior), clock)
            return self._judge(self.hypotheses(view, camera, known, clock), timestamp_ns, clock)

        with self._lock:
            return _answered(look, timestamp_ns, clock)

    def sight(
        self,
        frame: Any,
        *,
        timestamp_ns: int | None = None,
        altitude_m: tuple[float, float] | None = None,
        deadline_ms: float | None = None,
    ) -> Sighting:
        """The fix of a frame as `localize` gives it, and every place that was verified for it: what a tracker weighs
        together with other frames. Never raises; a rejected frame has no places."""
        clock = Clock(deadline_ms)
        seen: list[Sighting] = []

        def look() -> Fix:
            view, camera, known = self._look(frame, self.knowledge(altitude_m, None, None), clock)
            agreements, worldwide = self._agreements(view, known, clock)
            judged, rest = (
                self._posed(part, view, camera, known) for part in (agreements[:_POSES], agreements[_POSES:])
            )
            fix = self._judge(judged, timestamp_ns, clock)
            places = sorted((place for place in judged + rest if place.pose), key=lambda place: -place.score)
            seen.append(Sighting(fix, tuple(places), view, camera, known, worldwide))
            return fix

        with self._lock:
            fix = _answered(look, timestamp_ns, clock)
        return seen[0] if seen else Sighting(fix)

    def check(self, sighting: Sighting, candidates: Sequence[Candidate]) -> list[Hypothesis]:
        """What a sighted frame says to places that its own votes did not propose: one hypothesis a candidate, in
        order; its score is 0 where nothing held. Which score means something, the caller must find out: the pack is
        calibrated for places that were voted for."""
        view, camera, known = sighting.view, sighting.camera, sighting.known
        if view is None or camera is None or known is None:
            return [Hypothesis(candidate, None, 0, 0.0) for candidate in candidates]
        with self._lock:
            agreements = [self._verifier.verify(candidate, view, sighting.worldwide) for candidate in candidates]
            return self._posed(agreements, view, camera, known)

    def _look(self, frame: Any, known: PoseKnowledge, clock: Clock) -> tuple[View, Camera, PoseKnowledge]:
        """What a frame shows; raises Rejected for one that shows nothing."""
        with clock.stage("intake"):
            camera = camera_of_frame(frame, self.camera)
            screen(frame, camera)
        with clock.stage("features"):
            view = self.view(frame, camera, known.altitude_m)
        if len(view) < _FEWEST_FEATURES:
            raise Rejected(Status.FEATURELESS, f"only {len(view)} features: cloud, open ocean or a closed cover")
        return view, camera, known

    def hypotheses(
        self, view: View, camera: Camera, known: PoseKnowledge, clock: Clock | None = None
    ) -> list[Hypothesis]:
        """The places worth considering for a view, verified, best score first."""
        agreements, _ = self._agreements(view, known, clock or Clock(None))
        found = self._posed(agreements[:_POSES], view, camera, known)
        return sorted(found, key=lambda hypothesis: -hypothesis.score)

    def verified(self, view: View, camera: Camera, known: PoseKnowledge) -> list[Hypothesis]:
        """`hypotheses`, but all of the verified candidates and not the best few, as a tracker sees them."""
        agreements, _ = self._agreements(view, known, Clock(None))
        found = self._posed(agreements, view, camera, known)
        return sorted(found, key=lambda hypothesis: -hypothesis.score)

    def _agreements(self, view: View, known: PoseKnowledge, clock: Clock) -> tuple[list[Consensus], NDArray[np.int64]]:
        """The verified candidates of a view, heaviest agreement first, and the sorted keys of its worldwide matches."""
        with clock.stage("look-up"):
            matches = self._worldwide(view, known.prior)
        with clock.stage("votes"):
            search = self.search
            candidates = vote(matches, view, self.catalogue, search.bin_m, search.scale_ratio, search.candidates)
        with clock.stage("verify"):
            worldwide = np.sort(matches.keys())

            def verify(candidate: Candidate) -> Consensus:
                clock.check()
                return self._verifier.verify(candidate, view, worldwide)

            agreements = list(self._threads.map(verify, candidates))
            agreements.sort(key=lambda consensus: -float(consensus.weight[consensus.agree].sum()))
        return agreements, worldwide

    def _posed(
        self, agreements: Sequence[Consensus], view: View, camera: Camera, known: PoseKnowledge
    ) -> list[Hypothesis]:
        return [self._hypothesis(agreement, view, camera, known) for agreement in agreements]

    def view(self, frame: np.ndarray, camera: Camera, altitude_m: float) -> View:
        """What a frame of ``camera`` shows from ``altitude_m``, on the catalogue's scale."""
        return self.view_of_rectified(
            rectifier(camera, altitude_m, self.mission.gsd_m)(as_rgb(frame)), camera, altitude_m
        )

    def view_of_rectified(self, rectified: Rectified, camera: Camera, altitude_m: float) -> View:
        """The features of a rectified frame, and the camera pixels they came from."""
        seen = shrink_mask(rectified.mask, RIM_PX)
        features = extract(rectified.image, seen, self.describer, self.search.features)
        ground_m = rectified.ground_m(features.xy.astype(np.float64))
        pixels = camera.project(ground_to_camera(ground_m, altitude_m))
        return view_of(features, ground_m, pixels, _SPOT_PX * self.mission.gsd_m)

    def _worldwide(self, view: View, prior: Prior | None) -> Matches:
        """Every feature with its nearest landmarks of the whole Earth, or of what the prior allows."""
        _, numbers = self._index.search(view.features.descriptors, self.search.neighbours)
        feature = np.repeat(np.arange(len(view), dtype=np.int64), self.search.neighbours)
        matches = Matches(feature, numbers.ravel())[numbers.ravel() >= 0]
        if prior is not None:
            reach = (5 * prior.sigma_m + self.search.bin_m) / EARTH_RADIUS_M + float(view.way_rad.max())
            allowed = self.catalogue.unit[matches.landmark] @ unit_from_latlon(prior.lat_deg, prior.lon_deg) > np.cos(
                min(reach, np.pi)
            )
            matches = matches[allowed]
        return matches

    def _hypothesis(self, consensus: Consensus, view: View, camera: Camera, known: PoseKnowledge) -> Hypothesis:
        """Fit the whole pose to a consensus, then keep the matches that agree with it closely, until they stay."""
        candidate, matches, agree = consensus.candidate, consensus.matches, consensus.agree
        x, y, z = candidate.unit
        lat, lon = float(np.degrees(np.arcsin(np.clip(z, -1, 1)))), float(np.degrees(np.arctan2(y, x)))
        position = ecef_from_geodetic(lat, lon, known.altitude_m)
        rotation = ecef_from_nadir_camera(lat, lon, candidate.heading_deg)
        pixels, points = view.pixels[matches.feature], self._points(matches.landmark)
        pixel = self.mission.gsd_m * camera.fx / known.altitude_m  # frame pixels in one of the catalogue's
        pose = None
        for _ in range(_REFINEMENTS):
            if agree.sum() < _FEWEST_INLIERS:
                return Hypothesis(candidate, None, 0, 0.0)
            sigma_px = _LANDMARK_SIGMA_PX * pixel
            pose = solve_pose(camera, pixels[agree], points[agree], position, rotation, sigma_px, known)
            if pose is None:
                return Hypothesis(candidate, None, 0, 0.0)
            position, rotation = pose.position_ecef_m, pose.ecef_from_cam
            with np.errstate(invalid="ignore"):
                off = np.linalg.norm(camera.project((points - position) @ rotation) - pixels, axis=1)
                close = off < _TIGHT_PX * pixel
            if (close == agree).all():
                break
            agree = close
        counted = agree & distinct(matches, np.where(agree, consensus.weight, 0), view)
        weight = consensus.weight[counted]
        return Hypothesis(candidate, pose, int(counted.sum()), float(weight.sum()), points[counted], weight)

    def _points(self, numbers: np.ndarray) -> Array:
        return ecef_from_geodetic(self.catalogue.lat_deg[numbers], self.catalogue.lon_deg[numbers])

    def _judge(self, hypotheses: list[Hypothesis], timestamp_ns: int | None, clock: Clock) -> Fix:
        """Accept the best hypothesis, or say why not."""
        best = hypotheses[0] if hypotheses else Hypothesis(Candidate((0.0, 0.0, 1.0), 0.0, 0), None, 0, 0.0)

        def refuse(status: Status, reason: str) -> Fix:
            return no_fix(
                status, reason, inliers=best.inliers, votes=best.candidate.votes, timestamp_ns=timestamp_ns,
                timings_ms=clock.timings_ms,
            )  # fmt: skip

        if best.pose is None or not self.acceptance.accepts(best.score):
            asked = self.acceptance.least_score
            return refuse(Status.NO_MATCH, f"the best place scores {best.score:.1f}, {asked:.1f} is asked for")
        for other in hypotheses[1:]:
            if other.pose is None or not self.acceptance.accepts(other.score):
                continue
            apart_m = float(np.linalg.norm(other.pose.position_ecef_m - best.pose.position_ecef_m))
            if apart_m > 4 * self.search.bin_m:
                return refuse(
                    Status.AMBIGUOUS,
                    f"two places {apart_m / 1e3:.0f} km apart score {best.score:.1f} and {other.score:.1f}",
                )
        return _fix(best, self.acceptance.false_fix_probability(best.score), timestamp_ns, clock)

    def knowledge(
        self,
        altitude_m: tuple[float, float] | None = None,
        attitude: Attitude | None = None,
        prior: Prior | None = None,
    ) -> PoseKnowledge:
        """What the caller and the mission know together."""
        low, high = self.mission.orbit.altitude_m
        told = altitude_m or ((low + high) / 2, max((high - low) / 2, 1e3))
        numbers, sigmas = [], []
        try:
            value, sigma = (float(number) for number in told)
            sigmas.append(sigma)
            if attitude is not None:
                numbers += [float(number) for number in attitude.quat_ecef_from_cam_wxyz]
                sigmas.append(attitude.sigma_rad if len(numbers) == 4 and np.linalg.norm(numbers) > 0 else np.nan)
            if prior is not None:
                numbers += [float(prior.lat_deg), float(prior.lon_deg)]
                sigmas.append(prior.sigma_m)
            sound = np.isfinite([*numbers, *sigmas]).all() and min(sigmas) > 0 and 50e3 <= value <= 1e8
        except (TypeError, ValueError, AttributeError) as error:
            raise Rejected(Status.BAD_FRAME, f"altitude_m, attitude or prior is malformed: {error}") from error
        if not sound:
            raise Rejected(
                Status.BAD_FRAME,
                f"altitude {value:g} m must be 50 km or more, every number finite, sigmas positive, a quaternion not 0",
            )
        return PoseKnowledge(value, sigma, np.radians(self.mission.pointing_sigma_deg), attitude, prior)


def _fix(best: Hypothesis, probability: float, timestamp_ns: int | None, clock: Clock) -> Fix:
    pose = best.pose
    assert pose is not None
    lat, lon, alt = (float(value) for value in geodetic_from_ecef(pose.position_ecef_m))
    axes = ecef_from_ned(lat, lon)
    horizontal = pose.covariance[:2, :2]
    return Fix(
        Status.FIX,
        lat_deg=lat,
        lon_deg=lon,
        altitude_m=alt,
        heading_deg=heading_deg_of(pose.ecef_from_cam, lat, lon),
        sigma_m=float(np.sqrt(np.linalg.eigvalsh(horizontal)[-1])),
        position_ecef_m=pose.position_ecef_m,
        covariance_ecef_m2=axes @ pose.covariance[:3, :3] @ axes.T,
        quat_ecef_from_cam_wxyz=quat_from_matrix(pose.ecef_from_cam),
        false_fix_probability=probability,
        inliers=best.inliers,
        votes=best.candidate.votes,
        timestamp_ns=timestamp_ns,
        timings_ms=clock.timings_ms,
    )


def _answered(look: Callable[[], Fix], timestamp_ns: int | None, clock: Clock) -> Fix:
    """What ``look`` finds, or why it finds nothing: flight software must get an answer whatever a frame holds."""
    try:
        return look()
    except Rejected as rejected:
        return no_fix(rejected.status, rejected.reason, timestamp_ns=timestamp_ns, timings_ms=clock.timings_ms)
    except Exception as error:
        reason = f"internal error, please report: {type(error).__name__}: {error}"
        return no_fix(Status.BAD_FRAME, reason, timestamp_ns=timestamp_ns, timings_ms=clock.timings_ms)


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
