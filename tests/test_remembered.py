"""Answers that are kept: the same as asked anew, let go when there is no room."""

import numpy as np

from tests.remembered import Remembered


class Doubled:
    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, values: np.ndarray, times: int = 2) -> np.ndarray:
        self.asked += 1
        return values * times


def test_the_same_arrays_are_asked_once_and_others_apart() -> None:
    doubled = Doubled()
    remembered = Remembered(doubled)
    values = np.arange(6, dtype=np.float32)
    for _ in range(2):
        np.testing.assert_array_equal(remembered(values, 2), values * 2)
    assert doubled.asked == 1
    np.testing.assert_array_equal(remembered(values, 3), values * 3)
    np.testing.assert_array_equal(remembered(values.reshape(2, 3), 2), values.reshape(2, 3) * 2)
    np.testing.assert_array_equal(remembered(values.view(np.int32), 2), values.view(np.int32) * 2)
    values[0] = 7
    np.testing.assert_array_equal(remembered(values, 2), values * 2)
    assert doubled.asked == 5


def test_anew_it_neither_answers_from_memory_nor_keeps_what_it_is_told() -> None:
    scale = 2
    remembered = Remembered(lambda values: values * scale)
    values = np.ones(3)
    assert remembered(values)[0] == 2
    scale, remembered.anew = 5, True
    assert remembered(values)[0] == 5
    remembered.anew = False
    assert remembered(values)[0] == 2


def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    doubled = Doubled()
    remembered = Remembered(doubled, room_bytes=2 * 24)
    one, two, three = (np.full(3, value) for value in (1, 2, 3))
    for values in (one, two, one, three):
        remembered(values)
    assert doubled.asked == 3
    remembered(one)
    assert doubled.asked == 3
    remembered(two)
    assert doubled.asked == 4
