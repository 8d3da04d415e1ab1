"""The table that a solver becomes: rows that add registers up, call the network, or draw noise.

Registers are numbered. 0 is the start of the walk, 1 the noisy sound; each row makes one more, once. Coefficients and
times are Python floats: running a plan asks nothing of the device.
"""

import math
from dataclasses import dataclass
from functools import cached_property

from sgaudio.errors import ConfigError

START, NOISY = 0, 1


@dataclass(frozen=True)
class Sum:
    """A register made of others: each term is (register, coefficient)."""

    into: int
    terms: tuple[tuple[int, float], ...]

    @property
    def reads(self) -> tuple[int, ...]:
        return tuple(register for register, _ in self.terms)


@dataclass(frozen=True)
class Call:
    """The network's clean estimate from the state in a register, at a time."""

    into: int
    state: int
    time: float

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.state,)


@dataclass(frozen=True)
class Draw:
    """Standard normal noise, known by its key: the step, and what it is for."""

    into: int
    step: int
    purpose: str

    @property
    def reads(self) -> tuple[int, ...]:
        return ()


Row = Sum | Call | Draw


@dataclass(frozen=True)
class Plan:
    """Rows in the order in which they run, and the register that holds the result.

    Raises:
        ConfigError: on a row that reads what is not there yet, on a register made twice, on a coefficient that is not finite, on an
            empty sum, and on a noise drawn twice.
    """

    rows: tuple[Row, ...]
    result: int

    def __post_init__(self) -> None:
        known = {START, NOISY}
        for index, row in enumerate(self.rows):
            if row.into in known or not known.issuperset(row.reads):
                raise ConfigError(f"plan: row {index} is {row}, expected a new register made of {sorted(known)}")
            if isinstance(row, Sum) and not (row.terms and all(math.isfinite(coefficient) for _, coefficient in row.terms)):
                raise ConfigError(f"plan: row {index} is {row}, expected finite coefficients: does the solver divide by a vanishing sigma?")
            known.add(row.into)
        if self.result not in known:
            raise ConfigError(f"plan: the result is register {self.result}, expected one of {sorted(known)}")
        for draw in set(self.draws):
            if self.draws.count(draw) > 1:
                raise ConfigError(f"plan: the noise {draw} is drawn {self.draws.count(draw)} times, expected once: share the vector")

    @property
    def evaluations(self) -> int:
        """Calls of the network."""
        return sum(isinstance(row, Call) for row in self.rows)

    @property
    def draws(self) -> tuple[tuple[int, str], ...]:
        """The keys (step, purpose) of the noises it draws, in order; none for a deterministic plan."""
        return tuple((row.step, row.purpose) for row in self.rows if isinstance(row, Draw))

    @cached_property
    def frees(self) -> tuple[tuple[int, ...], ...]:
        """For each row, the registers that nothing reads after it."""
        last = {register: index for index, row in enumerate(self.rows) for register in (*row.reads, row.into)}
        last.pop(self.result, None)
        return tuple(tuple(register for register in {*row.reads, row.into} if last.get(register) == i) for i, row in enumerate(self.rows))

    @property
    def buffers(self) -> int:
        """The most registers that are alive between two rows, start and noisy sound not counted."""
        alive, most = set[int](), 0
        for row, freed in zip(self.rows, self.frees, strict=True):
            alive = (alive | {row.into}) - set(freed)
            most = max(most, len(alive))
        return most


def without_dead_rows(rows: list[Row], result: int) -> Plan:
    """The plan that makes `result`, less the rows that it does not need."""
    needed, kept = {result}, list[Row]()
    for row in reversed(rows):
        if row.into in needed:
            needed.update(row.reads)
            kept.append(row)
    return Plan(tuple(reversed(kept)), result)
