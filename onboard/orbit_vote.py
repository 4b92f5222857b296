"""Votes of several frames for one orbit: places too weak alone, which together only an orbit explains.

Two places of different frames propose a circular orbit; the places of further frames support it where they lie on it,
at the right time and with the camera held alike. What such an agreement is worth is told from geometry: the chance
that places scattered over the map lie on an orbit as these do (`_chance`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from onboard.acceptance import Acceptance
from onboard.geodesy import EARTH_RADIUS_M, Array
from onboard.hypothesis import Hypothesis
from onboard.mission import Orbit
from onboard.orbit_fit import eccentricity_sigma
from onboard.orbit_motion import EARTH_GM_M3_S2, turned_with_earth
from onboard.orbit_places import FramePlaces, Place, turn_deg

HEADING_GATE_DEG = 8.0  # by which a camera's heading along the track may differ between two frames
_GATE_SIGMAS = 3.0
_LONGEST_WAY_RAD = np.radians(150)  # nearer to half a turn two places leave the plane open
_WEIGHED = 16  # agreements of one frame looked at closely
_NEW_GROUND = 0.4  # least share of a member's score that rests on ground no other member has seen
_SPOT_M = 10e3  # landmarks this near are the same piece of ground
# Wrong places crowd where the map is rich: measured, two of different frames lie together this much more often than
# landmarks drawn at random do (tests/bench_vote.py).
_CROWDING = 12.0


@dataclass(frozen=True, eq=False)
class Track:
    """Places of several frames on one orbit, in order of time; normal (3,): the orbit's, in the inertial axes that
    coincide with ECEF at ``time_s``, the last member's moment; mount_deg: the camera's heading less the track's;
    chance: the expected number of agreements as good as this among frames of which at most one is right."""

    time_s: float
    members: tuple[tuple[float, Place], ...]
    normal: Array
    mount_deg: float
    chance: float


def map_area_rad2(unit: NDArray[np.float32]) -> float:
    """The solid angle over which landmarks (N, 3) are spread, were they spread evenly: one over the chance that two of
    them fall together, a degree wide."""
    bands, around = 115, 360
    cell = ((unit[:, 2] + 1) / 2 * bands).astype(int).clip(0, bands - 1) * around
    cell += (np.degrees(np.arctan2(unit[:, 1], unit[:, 0])) + 180).astype(int).clip(0, around - 1)
    share = np.bincount(cell, minlength=bands * around) / len(unit)
    return float(4 * np.pi / (bands * around) / (share**2).sum())


class OrbitVote:
    """Votes over one map. area_rad2: see `map_area_rad2`; orbit: what orbits may be."""

    def __init__(self, area_rad2: float, orbit: Orbit, acceptance: Acceptance) -> None:
        self._area_rad2, self._inclination = area_rad2 / _CROWDING, np.radians(orbit.inclination_deg)
        self._eccentricity, self._acceptance = eccentricity_sigma(orbit.eccentricity), acceptance

    def share_of_map(self, area_rad2: float) -> float:
        """The chance that a wrong place lies in an area, with the camera's heading right to HEADING_GATE_DEG."""
        return min(1.0, area_rad2 / self._area_rad2) * 2 * HEADING_GATE_DEG / 360

    def best_track(
        self, newest: FramePlaces, earlier: Sequence[FramePlaces], altitude_m: tuple[float, float], frames: int
    ) -> Track | None:
        """The least likely agreement by chance between places of the newest frame and of earlier ones; None when there
        is none at all. Whether to believe it is for `Track.chance` to say. frames: from how many, the newest among
        them, these were chosen for their places."""
        earlier = [frame for frame in earlier if frame.places and frame.time_s < newest.time_s]
        if not earlier or not newest.places:
            return None
        radius = EARTH_RADIUS_M + altitude_m[0]
        rate = np.sqrt(EARTH_GM_M3_S2 / radius**3)
        doubt = float(np.hypot(1.5 * altitude_m[1] / radius, 2 * self._eccentricity))
        table = _Table.of(newest, earlier)
        agreements = [
            self._agreement(place, partner, table, doubt)
            for place in newest.places
            for partner in self._partners(place, table, rate, doubt).tolist()
        ]
        # What shares its ground with others is found out for the likeliest only: it takes time.
        agreements.sort(key=lambda agreement: agreement.promise)
        tracks = [self._weighed(agreement, frames) for agreement in agreements[:_WEIGHED]]
        return min(filter(None, tracks), key=lambda track: track.chance, default=None)

    def _partners(self, place: Place, table: "_Table", rate: float, doubt: float) -> NDArray[np.int64]:
        """Numbers of the earlier places that a circular orbit joins with ``place``."""
        way = np.arccos(np.clip(table.unit @ place.unit, -1, 1))
        expected = rate * -table.elapsed_s
        slack = _way_slack_rad(place.sigma_m, table.sigma_m, expected, doubt)
        fits = (np.abs(way - expected) < slack) & (expected < _LONGEST_WAY_RAD) & (way > 2 * slack)
        normal = np.cross(table.unit, place.unit)
        normal /= np.maximum(np.linalg.norm(normal, axis=1), 1e-12)[:, None]
        fits &= self._inclined(normal[:, 2], slack / np.maximum(way, 1e-9))
        here = (place.heading_deg - _track_deg(normal, place.unit[None])) % 360
        there = (table.heading_deg - _track_deg(normal, table.unit)) % 360
        return np.flatnonzero(fits & (turn_deg(here, there) < HEADING_GATE_DEG))

    def _inclined(self, cosine: Array, slack_rad: Array) -> NDArray[np.bool_]:
        low, high = self._inclination
        inclination = np.arccos(np.clip(cosine, -1, 1))
        return (inclination > low - slack_rad) & (inclination < high + slack_rad)

    def _agreement(self, place: Place, partner: int, table: "_Table", doubt: float) -> "_Agreement":
        """The orbit of two places with all that supports it."""
        other, elapsed = table.places[partner], float(table.elapsed_s[partner])
        start = table.unit[partner]
        normal = np.cross(start, place.unit)
        way = float(np.arctan2(np.linalg.norm(normal), start @ place.unit))
        normal /= np.linalg.norm(normal)
        along = np.cross(normal, place.unit)
        mount = float(place.heading_deg - _track_deg(normal[None], place.unit[None])[0]) % 360

        # Where the orbit is at the other frames' moments, and how well that is known.
        angle = -way * table.elapsed_s / elapsed
        at = np.cos(angle)[:, None] * place.unit + np.sin(angle)[:, None] * along
        share = table.elapsed_s / elapsed
        outside = np.maximum(np.maximum(-share, share - 1), 0) * way
        sigma = np.sqrt(((1 - share) * place.sigma_m) ** 2 + (share * other.sigma_m) ** 2 + table.sigma_m**2)
        reach = _GATE_SIGMAS * np.hypot(sigma / EARTH_RADIUS_M, doubt * outside)
        off = np.arccos(np.clip((table.unit * at).sum(axis=1), -1, 1))
        there = (table.heading_deg - _track_deg(np.broadcast_to(normal, at.shape), table.unit)) % 360
        supports = (off < reach) & (turn_deg(there, mount) < HEADING_GATE_DEG)
        supports &= table.elapsed_s != elapsed

        # What it would take to find the partner by chance: somewhere on the right circle, heading right.
        slack = _way_slack_rad(place.sigma_m, other.sigma_m, np.array([way]), doubt)[0]
        ring = self.share_of_map(2 * np.pi * np.sin(way) * 2 * slack) * self._share_of_azimuths(place.unit, slack / way)
        found = [_Supporter(place, 0.0, 1.0), _Supporter(other, elapsed, ring)]
        for number in np.flatnonzero(supports).tolist():
            share_of_map = self.share_of_map(np.pi * float(reach[number]) ** 2)
            found.append(_Supporter(table.places[number], float(table.elapsed_s[number]), share_of_map))
        found[2:] = sorted(found[2:], key=lambda supporter: supporter.place.rarity * supporter.share)
        return _Agreement(tuple(found), normal, mount, table.newest_s)

    def _weighed(self, agreement: "_Agreement", frames: int) -> Track | None:
        """The track of the supporters that count, one a frame, with its chance; None when fewer than two do.

        A frame that saw the same ground at the same place as another proves nothing new, right or wrong, for both may
        err alike: a member counts with what its own landmarks add. But two fixes need no proof beside their own: the
        orbit is wrong only where one of them is.
        """
        pair = [supporter.place for supporter in agreement.supporters[:2]]
        unless_a_fix_is_wrong = frames * sum(place.rarity for place in pair) if all(one.fix for one in pair) else np.inf
        counted: list[tuple[float, float]] = []
        members: list[tuple[float, Place]] = []
        ground = np.zeros((0, 3))
        for supporter in agreement.supporters:
            place, time_s = supporter.place, agreement.newest_s + supporter.elapsed_s
            if any(time_s == other for other, _ in members):
                continue
            new = _new_ground(place.hypothesis, ground)
            rarity = place.rank * self._acceptance.false_fix_probability(new * place.hypothesis.score)
            if new >= _NEW_GROUND:
                counted.append((rarity, supporter.share))
                members.append((time_s, place))
                ground = np.concatenate([ground, place.hypothesis.points_ecef_m])
            elif len(members) < 2:  # the two that proposed the orbit are one piece of evidence
                if not np.isfinite(unless_a_fix_is_wrong):
                    return None
                return agreement.track([*members, (time_s, place)], unless_a_fix_is_wrong)
        return agreement.track(members, min(unless_a_fix_is_wrong, _chance(counted, frames)))

    def _share_of_azimuths(self, unit: Array, slack_rad: float) -> float:
        """The share of the directions of flight over a place that the inclinations allow."""
        azimuth = np.arange(0, 2 * np.pi, np.radians(2))
        cosine = np.sqrt(max(0.0, 1 - unit[2] ** 2)) * np.sin(azimuth)  # cos i = cos(latitude) sin(azimuth)
        return max(float(self._inclined(cosine, np.full(len(cosine), slack_rad)).mean()), 1 / len(azimuth))


@dataclass(frozen=True, eq=False)
class _Table:
    """All places of the earlier frames, N in all: unit (N, 3) in the inertial axes of the newest frame's moment."""

    newest_s: float
    places: tuple[Place, ...]
    unit: Array
    elapsed_s: Array
    heading_deg: Array
    sigma_m: Array

    @classmethod
    def of(cls, newest: FramePlaces, earlier: Sequence[FramePlaces]) -> "_Table":
        places = tuple(place for frame in earlier for place in frame.places)
        elapsed = np.array([frame.time_s - newest.time_s for frame in earlier for _ in frame.places])
        unit = turned_with_earth(np.array([place.unit for place in places]), elapsed)
        heading = np.array([place.heading_deg for place in places])
        return cls(newest.time_s, places, unit, elapsed, heading, np.array([place.sigma_m for place in places]))


@dataclass(frozen=True, eq=False)
class _Supporter:
    """A place on an orbit, seconds after the newest frame, and the share of the map (place and heading) in which it
    had to lie."""

    place: Place
    elapsed_s: float
    share: float


@dataclass(frozen=True, eq=False)
class _Agreement:
    """All places on one orbit; the first two proposed it."""

    supporters: tuple[_Supporter, ...]
    normal: Array
    mount_deg: float
    newest_s: float

    def track(self, members: list[tuple[float, Place]], chance: float) -> Track:
        """Of those of its places that count."""
        ordered = tuple(sorted(members, key=lambda member: member[0]))
        return Track(self.newest_s, ordered, self.normal, self.mount_deg, chance)

    @property
    def promise(self) -> float:
        """Logarithm of how rare it all is, were every frame worth its whole score."""
        best: dict[float, float] = {}
        for supporter in self.supporters:
            chance = float(np.log(min(1.0, supporter.place.rarity * supporter.share)))
            best[supporter.elapsed_s] = min(chance, best.get(supporter.elapsed_s, 0.0))
        return sum(best.values())


def _new_ground(hypothesis: Hypothesis, ground: Array) -> float:
    """The share of a place's score that rests on landmarks no other member has used."""
    points, weights = hypothesis.points_ecef_m, hypothesis.weights
    if len(points) == 0:
        return 1.0
    middle = points.mean(axis=0)
    reach = np.linalg.norm(points - middle, axis=1).max() + _SPOT_M
    near = ground[np.linalg.norm(ground - middle, axis=1) < reach]
    if len(near) == 0:
        return 1.0
    nearest = np.linalg.norm(points[:, None] - near[None], axis=2).min(axis=1)
    return float(weights[nearest > _SPOT_M].sum() / weights.sum())


def _chance(counted: list[tuple[float, float]], frames: int) -> float:
    """The expected number of orbits with at least this evidence, through places of ``frames`` frames of which at most
    one place is right. counted: rarity and share of every member, the two that proposed the orbit first.

    One right place leaves the orbit open, so that the rarest member proves nothing (a wrong one there would have its
    own rarity, which is counted when above one). Of each other frame, the chance to offer a member this good is
    p = rarity × share. That a product of m such chances is as small as P has the probability
    P · Σ_{k<m} (-ln P)^k / k! (Fisher 1932), m frames can be chosen in C(frames - 1, m) ways, and m is chosen too. All
    subsets of the members are tried, for a poor one may cost more than it brings.
    """
    rarest = min(range(len(counted)), key=lambda i: counted[i][0])
    shares = [one[1] for one in counted]
    # The first place proposed the orbit and had to lie nowhere; what is taken for right is taken out in its stead.
    shares[0] = shares[rarest]
    chances = sorted(min(1.0, counted[i][0] * shares[i]) for i in range(len(counted)) if i != rarest)
    best, log_product = float("inf"), 0.0
    for m, chance in enumerate(chances, 1):
        log_product += np.log(max(chance, 1e-300))
        terms = [k * np.log(max(-log_product, 1e-9)) - lgamma(k + 1) for k in range(m)]
        choices = lgamma(frames) - lgamma(m + 1) - lgamma(frames - m)
        best = min(best, log_product + float(np.logaddexp.reduce(terms)) + choices)
    return float(min(1e3, np.exp(min(best, 50.0)) * max(1.0, counted[rarest][0]) * max(1, frames - 1)))


def _way_slack_rad(sigma_a_m: float, sigma_b_m: Array | float, way_rad: Array, doubt: float) -> Array:
    return _GATE_SIGMAS * np.hypot(np.hypot(sigma_a_m, sigma_b_m) / EARTH_RADIUS_M, doubt * way_rad)


def _track_deg(normal: Array, unit: Array) -> Array:
    """Azimuth (N,) of the motion at places (N, 3) of orbits with normals (N, 3)."""
    along = np.cross(normal, unit)
    north_x = -unit[:, 2] * unit[:, 0]
    north_y = -unit[:, 2] * unit[:, 1]
    across2 = 1 - unit[:, 2] ** 2
    north = (along * np.stack([north_x, north_y, across2], axis=1)).sum(axis=1)
    east = along[:, 1] * unit[:, 0] - along[:, 0] * unit[:, 1]
    return np.degrees(np.arctan2(east, north)) % 360
