"""What egs/solvers promises: its pages' code runs, and their figures are those that its scripts wrote."""

import csv
import json
import math
import re
import runpy
from pathlib import Path

import pytest

from sgaudio.processes import OUVE, VP
from sgaudio.solvers import SOLVERS, proof

EXAMPLES = Path(__file__).parents[1] / "egs" / "solvers"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
PAGE = (EXAMPLES / "write_your_own.md").read_text(encoding="utf-8")


def run_page(text: str) -> dict:
    names = dict[str, object]()
    exec(compile("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)), "write_your_own.md", "exec"), names)
    return names


def test_the_ten_lines_run(capsys):
    runpy.run_path(str(EXAMPLES / "own_network.py"), run_name="__main__")
    assert capsys.readouterr().out == "5 evaluations, 4 buffers: (1, 1, 256, 100)\n"


def test_the_page_s_sampler_is_of_the_order_it_states(capsys):
    solver = run_page(PAGE)["er_sde"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "8 4"
    assert [float(line.split()[-1]) for line in printed[1:]] == pytest.approx([2, 2, 2], abs=0.15)
    assert "er-sde" not in SOLVERS
    assert proof.order(solver, VP()) == pytest.approx(2, abs=0.15)


def test_a_mistake_in_the_page_s_sampler_shows_as_it_says(capsys):
    mistaken = PAGE.replace("step += u.alpha * -", "step += 2 * u.alpha * -")
    assert mistaken != PAGE
    assert proof.order(run_page(mistaken)["er_sde"], OUVE()) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("page", [README, PAGE])
def test_links_lead_somewhere(page: str):
    for link in re.findall(r"\]\(([^)#:]+)\)", page):
        assert (EXAMPLES / link).exists()


def test_the_tables_are_what_the_scripts_wrote():
    with (EXAMPLES / "results/peers.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row.pop("grid") == "log-snr":
                assert f"| {' | '.join(row.values())} |" in README
    for name, figure in json.loads((EXAMPLES / "results/overhead.json").read_text(encoding="utf-8"))["microseconds"].items():
        assert f"| {name} | {figure:.1f} |" in README
    rows = [line for line in README.splitlines() if re.match(r"\| \S.*(e-|e\+).* \|$", line) and line.count("|") == 10]
    assert len(rows) > 20
    assert set(rows) <= set((EXAMPLES / "results/errors.md").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("name", ["ddim", "dpmpp-2m", "unipc", "adams", "heun"])
def test_the_errors_are_those_of_the_solvers_as_they_are(name: str):
    with (EXAMPLES / "results/errors.csv").open(newline="") as file:
        found = {
            (row["grid"], row["oracle"], row["allowed"]): row
            for row in csv.DictReader(file)
            if (row["process"], row["solver"]) == ("OUVE", name)
        }
    times = proof.longest(SOLVERS[name], OUVE(), "linear", 10)
    assert float(found["linear", "mixture", "10"]["error"]) == pytest.approx(proof.Mixture(OUVE()).error(SOLVERS[name], times), rel=1e-3)
    assert math.isfinite(float(found["angle", "Gaussian", "50"]["error"]))
