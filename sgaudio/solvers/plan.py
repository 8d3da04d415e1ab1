"""The table that a solver becomes: rows that add registers up, call the network, or draw noise.

Registers are numbered. 0 is the start of the walk, 1 the noisy sound; each row makes one more, once. Coefficients and
times are Python floats: running a plan asks nothing of the device.
"""

from dataclasses import dataclass
from functools import cached_property

from sgaudio.errors import ConfigError

START, NOISY = 0, 1
LARGEST = 2.0**53  # of a coefficient: beside a larger one float64 does not see a vector of the same size


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
    """The network's clean estimate from the state in a register, at a time, in a step of the grid."""

    into: int
    state: int
    time: float
    step: int

    @property
    def reads(self) -> tuple[int, ...]:
        return (self.state,)


@dataclass(frozen=True)
class Draw:
    """Standard normal noise, known by its key: the step, what it is for, and the number of its repetition."""

    into: int
    step: int
    purpose: str
    repeat: int = 0

    @property
    def key(self) -> tuple[int, str, int]:
        """What the source of noise is asked for."""
        return self.step, self.purpose, self.repeat

    @property
    def reads(self) -> tuple[int, ...]:
        return ()


Row = Sum | Call | Draw


@dataclass(frozen=True)
class Plan:
    """Rows in the order in which they run, the register that holds the result, and whether the start is a bridge's, the noisy sound.

    Raises:
        ConfigError: on a row that reads what is not there yet, on a register made twice, on a coefficient that is not finite or huge, on
            an empty sum, and on a noise drawn twice.
    """

    rows: tuple[Row, ...]
    result: int
    bridge: bool = False

    def __post_init__(self) -> None:
        known = {START, NOISY}
        for index, row in enumerate(self.rows):
            if row.into in known or not known.issuperset(row.reads):
                raise ConfigError(f"plan: row {index} is {row}, expected a new register made of {sorted(known)}")
            if isinstance(row, Sum) and not (row.terms and all(abs(coefficient) <= LARGEST for _, coefficient in row.terms)):
                expected = f"expected finite coefficients, up to {LARGEST:.0e}: does the solver divide by a vanishing sigma or alpha?"
                raise ConfigError(f"plan: row {index} is {row}, {expected}")
            known.add(row.into)
        if self.result not in known:
            raise ConfigError(f"plan: the result is register {self.result}, expected one of {sorted(known)}")
        for draw in set(self.draws):
            if self.draws.count(draw) > 1:
                raise ConfigError(f"plan: the noise {draw} is drawn {self.draws.count(draw)} times, expected once: share the vector")

    @property
    def calls(self) -> tuple[Call, ...]:
        """Calls of the network, in order."""
        return tuple(row for row in self.rows if isinstance(row, Call))

    @property
    def evaluations(self) -> int:
        """Number of calls of the network."""
        return len(self.calls)

    @property
    def draws(self) -> tuple[tuple[int, str, int], ...]:
        """The keys (step, purpose, repeat) of the noises it draws, in order; none for a deterministic plan."""
        return tuple(row.key for row in self.rows if isinstance(row, Draw))

    @property
    def reads_noisy(self) -> bool:
        """Whether it needs the noisy sound."""
        return any(NOISY in row.reads for row in self.rows)

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


def without_dead_rows(rows: list[Row], result: int, bridge: bool) -> Plan:
    """The plan that makes `result`, less the rows that it does not need."""
    needed, kept = {result}, list[Row]()
    for row in reversed(rows):
        if row.into in needed:
            needed.update(row.reads)
            kept.append(row)
    return Plan(tuple(reversed(kept)), result, bridge)
