"""Flights and places made of formulae, for tests of the tracker, and a runtime that says what it is told."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np

from onboard.acceptance import Acceptance
from onboard.fix import Fix, Status, no_fix
from onboard.geodesy import ecef_from_geodetic, ecef_from_nadir_camera, ecef_from_ned, geodetic_from_ecef
from onboard.hypothesis import Hypothesis, Sighting
from onboard.mission import Orbit
from onboard.orbit_motion import EARTH_GM_M3_S2, earth_fixed_velocity, inertial_velocity, propagate
from onboard.pose import Pose, PoseKnowledge
from onboard.voting import Candidate

ALTITUDE_M = (500e3, 10e3)
RADIUS_M = 6371e3 + ALTITUDE_M[0]
INCLINATION_DEG = 70.0
MOUNT_DEG = 30.0
# Half of all wrong frames score below 8, one in ten above 10; a fix takes 18.
ACCEPTANCE = Acceptance(anchor=10.0, share=0.1, decay=1.1, exceedances=60, limit=1e-4)
STRONG, WEAK = 40.0, 8.0


def first_state(latitude_argument_deg=20.0, node_deg=0.0, eccentricity=0.0, anomaly_deg=0.0):
    """An orbit, circular unless told otherwise, ECEF, as it crosses a latitude."""
    u, i, node = np.radians([latitude_argument_deg, INCLINATION_DEG, node_deg])
    start = np.array([np.cos(u), np.sin(u) * np.cos(i), np.sin(u) * np.sin(i)])
    way = np.array([-np.sin(u), np.cos(u) * np.cos(i), np.cos(u) * np.sin(i)])
    turn = np.array([[np.cos(node), -np.sin(node), 0], [np.sin(node), np.cos(node), 0], [0, 0, 1]])
    radial, along = eccentricity * np.sin(np.radians(anomaly_deg)), 1 + eccentricity * np.cos(np.radians(anomaly_deg))
    parameter = RADIUS_M * (1 - eccentricity**2)
    position = parameter / along * turn @ start
    velocity = np.sqrt(EARTH_GM_M3_S2 / parameter) * turn @ (radial * start + along * way)
    return np.concatenate([position, earth_fixed_velocity(position, velocity)])


def states(times_s, first=None):
    """True states (N, 6) at times (N,)."""
    first = first_state() if first is None else first
    return np.array([propagate(first, float(time)) for time in times_s])


def heading_deg(state, mount_deg=MOUNT_DEG):
    """Where a camera points its up direction that is held alike along the track."""
    lat, lon, _ = geodetic_from_ecef(state[:3])
    north, east, _ = ecef_from_ned(lat, lon).T @ inertial_velocity(state[:3], state[3:])
    return float(np.degrees(np.arctan2(east, north)) + mount_deg) % 360


def place(position, heading, score, rng, sigma_m=3e3, ground=None):
    """A verified place that rests on twelve landmarks around it, or on ``ground`` (N, 3)."""
    lat, lon, _ = (float(value) for value in geodetic_from_ecef(position))
    covariance = np.diag([sigma_m**2, sigma_m**2, 5e3**2, 1e-4, 1e-4, 1e-4])
    if ground is None:
        offsets = rng.uniform(-150e3, 150e3, (12, 2)) @ ecef_from_ned(lat, lon)[:, :2].T
        ground = ecef_from_geodetic(lat, lon) + offsets
    weights = np.full(len(ground), score / len(ground), np.float32)
    unit = np.asarray(position) / np.linalg.norm(position)
    pose = Pose(np.asarray(position, float), ecef_from_nadir_camera(lat, lon, heading), covariance)
    return Hypothesis(Candidate(tuple(unit.tolist()), heading, 4), pose, len(ground), score, ground, weights)


def right_place(state, score, rng, sigma_m=3e3, mount_deg=MOUNT_DEG):
    """The true place, off by the sigma that it states."""
    lat, lon, _ = geodetic_from_ecef(state[:3])
    off = ecef_from_ned(lat, lon)[:, :2] @ rng.normal(0, sigma_m, 2)
    return place(state[:3] + off, heading_deg(state, mount_deg), score, rng, sigma_m)


POINTING_SIGMA_RAD = np.radians(0.5)
KNOWN = PoseKnowledge(*ALTITUDE_M, POINTING_SIGMA_RAD)


def leaning_place(state, tilt_rad, score, rng):
    """The true place as a tilted camera (tilt_rad (2,), in camera axes) finds it that takes itself for a level one:
    landmarks tell to 300 m what its axis meets, and the tilt worse than the mission does. As `solve_pose` would."""
    lat, lon, height = (float(value) for value in geodetic_from_ecef(state[:3]))
    heading = heading_deg(state)
    to_camera = ecef_from_nadir_camera(lat, lon, heading)[:, :2].T @ ecef_from_ned(lat, lon)[:, :2]
    axis_by_y = np.hstack([np.eye(2), -height * to_camera.T])  # what the axis meets, by north, east and tilt
    rows = np.vstack([axis_by_y / 300.0, np.eye(4)[2:] / (2 * POINTING_SIGMA_RAD)])
    told = np.eye(4)[2:] / POINTING_SIGMA_RAD
    covariance = np.linalg.inv(rows.T @ rows + told.T @ told)
    truth = np.array([0.0, 0.0, *tilt_rad])
    y = covariance @ rows.T @ (rows @ truth + rng.normal(size=4))
    position = state[:3] + ecef_from_ned(lat, lon)[:, :2] @ y[:2]
    lat, lon, _ = (float(value) for value in geodetic_from_ecef(position))
    turned = np.array([[0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]])  # about the camera's axes, by tilt
    rotation = ecef_from_nadir_camera(lat, lon, heading) @ cv2.Rodrigues(turned @ y[2:])[0]
    by_y = np.zeros((6, 4))
    by_y[:2, :2], by_y[3:, 2:] = np.eye(2), turned
    pose = Pose(position, rotation, by_y @ covariance @ by_y.T + np.diag([0, 0, 5e3**2, 0, 0, 1e-4]))
    return replace(place(position, heading, score, rng), pose=pose)


def wrong_places(count, rng, best=WEAK + 1):
    """Places anywhere, facing anywhere."""
    lats, lons = np.degrees(np.arcsin(rng.uniform(-0.9, 0.9, count))), rng.uniform(-180, 180, count)
    scores = np.sort(rng.uniform(4, best, count))[::-1]
    return [
        place(ecef_from_geodetic(lat, lon, ALTITUDE_M[0]), rng.uniform(0, 360), float(score), rng)
        for lat, lon, score in zip(lats, lons, scores, strict=True)
    ]


def sighting(hypotheses, altitude_m=ALTITUDE_M):
    """What a runtime that is told this altitude makes of a frame with these places."""
    ordered = tuple(sorted(hypotheses, key=lambda one: -one.score))
    knowledge = PoseKnowledge(*altitude_m, POINTING_SIGMA_RAD)
    if not ordered or not ACCEPTANCE.accepts(ordered[0].score):
        return Sighting(no_fix(Status.NO_MATCH, "nothing good enough"), ordered, known=knowledge)
    position = ordered[0].pose.position_ecef_m
    lat, lon, alt = (float(value) for value in geodetic_from_ecef(position))
    chance = ACCEPTANCE.false_fix_probability(ordered[0].score)
    fix = Fix(
        Status.FIX, lat_deg=lat, lon_deg=lon, altitude_m=alt, position_ecef_m=position, false_fix_probability=chance
    )
    return Sighting(fix, ordered, known=knowledge)


class ToldLocalizer:
    """Takes a `Sighting` for a frame; finds nothing where it is asked to look."""

    def __init__(self, inclination_deg=(60.0, 80.0), eccentricity=0.0):
        spread = np.random.default_rng(1).normal(size=(5000, 3))
        self.catalogue = SimpleNamespace(unit=(spread / np.linalg.norm(spread, axis=1)[:, None]).astype(np.float32))
        span_m = max(ALTITUDE_M[1], eccentricity * RADIUS_M)
        self.mission = SimpleNamespace(orbit=Orbit((ALTITUDE_M[0] - span_m, ALTITUDE_M[0] + span_m), inclination_deg))
        self.agreement_acceptance = ACCEPTANCE

    def sight(self, frame, *, timestamp_ns=None, altitude_m=None, mount_heading_deg=None, deadline_ms=None):
        return frame

    def check(self, sighting, candidates, sides):
        return [Hypothesis.nothing_at(candidate) for candidate in candidates]
