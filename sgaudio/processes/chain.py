"""A chain: a process whose networks were trained on a number of levels only."""

from sgaudio.processes.base import Process


class Chain(Process):
    """A process of `steps` levels of noise, the n-th (n = 1 ... steps) at time n / steps; what lies between is interpolated.

    Its networks count levels from 0. A subclass states `steps`.
    """

    steps: int

    def level(self, time: float) -> float:
        """The level n at a time, exactly a whole number at the levels: 0 is clean, `steps` the start of the reverse walk."""
        nearest = round(time * self.steps)
        # A time is a rounded number, so that 57 / 100 times 100 is not 57.
        return float(nearest) if nearest and abs(time - nearest / self.steps) < 1e-15 else time * self.steps

    def network_time(self, time: float) -> float:
        return self.level(time) - 1
