"""Numbers of the public codes and of the papers, for the processes of speech enhancement."""

import math
from pathlib import Path

import numpy as np
import pytest

from sgaudio.processes import BBED, OUVE, OUVP, BridgeVE, FlowSE, sde

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sgmse_coefficients.npz")
PRESETS = {"ouve16": OUVE(), "ouve48": OUVE(theta=2.0, sigma_min=0.1, sigma_max=1.0)}


@pytest.mark.parametrize("name", PRESETS)
def test_ouve_has_the_coefficients_of_the_public_code(name: str):
    process = PRESETS[name]
    for index, time in enumerate(GOLDEN["t"]):
        node = process.at(float(time))
        known = {key: GOLDEN[f"{name}_{key}"][index] for key in ("wx", "wy", "std", "g")}
        got = {"wx": node.alpha, "wy": node.kappa, "std": node.sigma, "g": sde(process, float(time))[2]}
        assert got == pytest.approx(known, rel=5e-13)  # what the code loses itself where it takes a number near 1 from 1


@pytest.mark.parametrize(
    ("name", "deviations", "diffusions"),
    [
        ("ouve16", (0.01883009994, 0.1216573339, 0.3889826582), (0.1149722013, 1.072983013)),
        ("ouve48", (0.03739015649, 0.2297652123, 0.7314814796), (0.2299444026, 2.145966026)),
    ],
)
def test_ouve_has_the_published_scales(name: str, deviations: tuple[float, ...], diffusions: tuple[float, ...]):
    process = PRESETS[name]
    assert tuple(process.at(time).sigma for time in (0.03, 0.5, 1.0)) == pytest.approx(deviations, rel=5e-10)
    assert tuple(sde(process, time)[2] for time in (0.03, 1.0)) == pytest.approx(diffusions, rel=5e-10)


def test_the_bridge_has_the_coefficients_of_the_public_code_but_for_its_epsilon():
    process, epsilon = BridgeVE(), 1e-8
    for index, time in enumerate(GOLDEN["t"]):
        node, variance = process.at(float(time)), process.variance
        got = {
            "wx": (variance * node.alpha + epsilon) / (variance + epsilon),
            "wy": variance * node.kappa / (variance + epsilon) / (1 + epsilon),
            "std": math.sqrt((variance * node.alpha + epsilon) * variance * node.kappa) / (math.sqrt(variance) + epsilon),
            "g": sde(process, float(time))[2],
        }
        known = {key: GOLDEN[f"sbve_{key}"][index] for key in got}
        assert got == pytest.approx(known, rel=5e-12)
        assert (node.alpha, node.kappa) == pytest.approx((known["wx"], known["wy"]), abs=3 * epsilon)


def test_the_bridge_has_the_published_scales():
    process = BridgeVE()
    assert math.sqrt(process.variance) == pytest.approx(1.09801505, abs=5e-9)
    for time, deviation, clean, noisy, diffusion in (
        (0.03, 0.1105627954, 0.9897559113, 0.01024408865, 0.6508474327),
        (0.5, 0.491804462, 0.7222222245, 0.2777777727, 1.019803903),
    ):
        node = process.at(time)
        assert (node.sigma, node.alpha, node.kappa) == pytest.approx((deviation, clean, noisy), abs=2e-8)  # the code's epsilon is 1e-8
        assert sde(process, time)[2] == pytest.approx(diffusion, rel=5e-10)


def test_ouvp_has_the_root_of_what_storm_s_code_calls_its_deviation():
    process, time = OUVP(beta_min=0.2, beta_max=3.0, stiffness=1.5), 0.7
    returned = (1 - math.exp(-0.5 * 1.5 * time * (time * (3.0 - 0.2) + 2 * 0.2))) / 1.5
    assert process.at(time).sigma == pytest.approx(math.sqrt(returned), rel=1e-14)


def test_bbed_is_noisiest_at_the_published_scale():
    assert max(BBED().at(step / 1000).sigma for step in range(1000)) == pytest.approx(0.54, abs=5e-3)


def test_flowse_ends_at_the_published_scale():
    assert (FlowSE().at(1.0).kappa, FlowSE().at(1.0).sigma) == (1.0, 0.487)
