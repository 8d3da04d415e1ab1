"""The oracles of `sgaudio.solvers.proof` as a fixture, and known errors written as lines of a table."""

import re
from types import SimpleNamespace

import pytest

from sgaudio.processes import OUVE, PROCESSES, BridgeVE, Process
from sgaudio.solvers import SOLVERS, proof


def check_cells(line: str) -> None:
    """A line of known errors: process, grid, solver, options, then for each measure its errors at 5, 10, 20 (and 50) evaluations."""
    which, kind, name, *words = line.split()
    process = PROCESSES[which]()
    options = {key: _value(text) for key, _, text in (word.partition("=") for word in words if "=" in word)}
    columns = " ".join(word for word in words if "=" not in word)
    measures = {
        "gauss": proof.gaussian_error,
        "moments": proof.wasserstein,
        "mixture": lambda s, p, *a, **o: proof.Mixture(p).error(s, *a, **o),
    }
    for measure, numbers in re.findall(r"([a-z]+)((?: [-+.e0-9]+)+)", columns):
        known = numbers.split()
        got = [
            measures[measure](SOLVERS[name], process, proof.longest(SOLVERS[name], process, kind, evaluations, **options), **options)
            for evaluations, _ in zip((5, 10, 20, 50), known, strict=False)
        ]
        for found, expected in zip(got, known, strict=True):
            # to the digits printed, and a hair for those that are rounded the other way
            message = f"{measure}: got {[f'{e:.2e}' for e in got]}, expected {known}"
            assert found == pytest.approx(float(expected), rel=1.1 * _half(expected)), message


def _half(number: str) -> float:
    """Half a unit in the last digit printed, relative to the number."""
    digits = number.split("e")[0]
    return 0.5 * 10.0 ** -len(digits.partition(".")[2]) / float(digits)


def _value(text: str) -> object:
    return int(text) if text.isdigit() else float(text) if "." in text else text


@pytest.fixture(name="proof", scope="session")
def oracles() -> SimpleNamespace:
    """What `sgaudio.solvers.proof` offers, and `check_cells`."""
    return SimpleNamespace(**vars(proof), grid=proof.walk_to, check_cells=check_cells)


@pytest.fixture(params=[OUVE(), BridgeVE()], ids=["ouve", "bridge-ve"])
def process(request: pytest.FixtureRequest) -> Process:
    return request.param
