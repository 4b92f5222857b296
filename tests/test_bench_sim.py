"""The simulator's bench counts frames, not its own start."""

from types import SimpleNamespace

import pytest

from tests.bench_sim import throughput


class _Stream(SimpleNamespace):
    start, stop = 0, 160

    def __iter__(self):
        return iter(range(self.stop))


@pytest.mark.parametrize(("workers", "chunk", "warm_up"), [(2, 16, 32), (16, 16, 80)])
def test_on_many_cores_half_of_the_frames_are_left_to_count(capsys, workers, chunk, warm_up):
    throughput("warm", _Stream(workers=workers, chunk=chunk))
    told = capsys.readouterr().out
    assert f"({160 - warm_up} frames; the first {warm_up} and the start" in told and "-" not in told.split(" frames")[0]
