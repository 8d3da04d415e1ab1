"""The chains of discrete levels: DDPM and ResShift."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.processes import DDPM, ResShift
from sgaudio.processes.chain import Chain

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "ddpm_schedules.npz")
diffsinger = DDPM(steps=100, beta_max=0.06)

SCHEDULES = {
    "linear_100_0.06": diffsinger,
    "linear_1000_0.02": DDPM(),
    "cosine_100": DDPM(steps=100, betas="cosine"),
    "cosine_1000": DDPM(betas="cosine"),
}


def alpha_bar(process: DDPM, level: int) -> float:
    return process.at(level / process.steps).alpha ** 2


@pytest.mark.parametrize("name", SCHEDULES)
def test_ddpm_has_the_levels_of_the_public_code(name: str):
    process, levels, known = SCHEDULES[name], GOLDEN[f"{name}:levels"], GOLDEN[f"{name}:alphas_cumprod"]
    nodes = [process.at((level + 1) / process.steps) for level in levels]
    assert [node.alpha**2 for node in nodes] == pytest.approx(known, rel=1e-12)  # its products of 1 - beta are rounded a thousand times
    assert [node.sigma**2 for node in nodes] == pytest.approx(1 - known, rel=1e-12)
    rates = [process.slope(node.time).variance / node.alpha**2 for node in nodes]
    betas = [-math.expm1(-rate / process.steps) for rate in rates]
    assert betas == pytest.approx(GOLDEN[f"{name}:betas"], rel=2e-11)


def test_ddpm_has_the_published_landmarks():
    shallow = {level: round(alpha_bar(diffsinger, level), 4) for level in (51, 54, 58, 60, 70, 71)}
    assert shallow == {51: 0.4563, 54: 0.4144, 58: 0.3614, 60: 0.3362, 70: 0.2255, 71: 0.2160}
    assert alpha_bar(diffsinger, 100) == pytest.approx(0.04655, abs=5e-6)
    assert {level: round(alpha_bar(DDPM(), level), 4) for level in (100, 200, 400)} == {100: 0.8970, 200: 0.6590, 400: 0.1951}
    assert alpha_bar(DDPM(), 1000) == pytest.approx(4.036e-5, abs=5e-9)


def test_ddpm_of_one_step_has_the_first_beta_and_of_two_also_the_last():
    assert alpha_bar(DDPM(steps=1, beta_min=0.1, beta_max=0.2), 1) == pytest.approx(0.9, rel=1e-15)
    assert alpha_bar(DDPM(steps=2, beta_min=0.1, beta_max=0.2), 2) == pytest.approx(0.9 * 0.8, rel=1e-15)
    assert alpha_bar(DDPM(steps=1, betas="cosine"), 1) == pytest.approx(0.001, rel=1e-15)


@given(st.integers(0, 999), st.floats(0, 1))
def test_between_the_levels_of_ddpm_log_alpha_bar_is_linear(level: int, part: float):
    process = DDPM()
    low, middle, high = (math.log(process.at(place / 1000).alpha) for place in (level, level + part, level + 1))
    assert middle == pytest.approx(low + part * (high - low), rel=1e-11, abs=1e-15)


@given(st.builds(DDPM, steps=st.integers(1, 2000)) | st.builds(ResShift, steps=st.integers(2, 2000)), st.data())
def test_a_chain_s_network_is_told_exact_integers_at_its_levels(process: Chain, data: st.DataObject):
    level = data.draw(st.integers(0, process.steps - 1))
    whole = process.slope((level + 1) / process.steps)
    for time in ((level + 1) / process.steps, 1 - (process.steps - level - 1) / process.steps, (level + 1) * (1 / process.steps)):
        assert process.network_time(time) == level
        assert tuple(process.slope(time)) == pytest.approx(tuple(whole), rel=1e-9)  # that of the same piece


def test_a_chain_s_network_is_told_real_numbers_between_its_levels():
    assert diffsinger.network_time(0.575) == pytest.approx(56.5)
    assert diffsinger.network_time(1e-14) == pytest.approx(-1.0)


def test_resshift_has_the_published_ends():
    first, last = ResShift().at(1 / 15), ResShift().at(1.0)
    assert first.sigma == pytest.approx(0.04, rel=1e-15)
    assert first.kappa == pytest.approx(0.02**2, rel=1e-15)
    assert (last.kappa, last.sigma) == pytest.approx((0.99**2, 2 * 0.99), rel=1e-15)
    assert ResShift(noise_scale=0.5, min_noise_level=0.2).at(1 / 15).kappa == pytest.approx(0.2**2, rel=1e-15)


def test_resshift_s_posterior_draws_the_known_share_of_fresh_noise():
    """Of DDIM's ancestral noise, 2010.02502, eq. 16: eta = 0.9996 after level 1, 0.9198 after 5, 0.3993 after 14."""
    shares = []
    for level in (1, 5, 14):
        u, t = (ResShift().at(n / 15) for n in (level, level + 1))
        posterior = u.sigma**2 * (1 - u.sigma**2 / t.sigma**2)
        shares.append(math.sqrt(posterior / (u.sigma**2 * (1 - (t.ratio / u.ratio) ** 2))))
    assert shares == pytest.approx([0.9996, 0.9198, 0.3993], abs=5e-5)
