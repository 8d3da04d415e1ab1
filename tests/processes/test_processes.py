import dataclasses
import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, PROCESSES, BridgeVE, Node, Process

times = st.floats(0.02, 0.98)
ouves = st.builds(OUVE, theta=st.floats(0.01, 5), sigma_min=st.floats(0.01, 0.1), sigma_max=st.floats(0.2, 2))
bridges = st.builds(BridgeVE, k=st.floats(1.1, 5), c=st.floats(0.05, 2))
processes = ouves | bridges


@given(processes)
def test_every_process_starts_exactly_clean(process: Process):
    assert process.at(0.0) == Node(time=0.0, alpha=1.0, kappa=0.0, sigma=0.0)
    assert process.at(0.0).log_snr == process.at(0.0).ratio == math.inf
    assert process.at(0.0).angle == math.pi / 2


@given(bridges)
def test_a_bridge_ends_exactly_in_the_noisy_sound(process: BridgeVE):
    assert process.at(1.0) == Node(time=1.0, alpha=0.0, kappa=1.0, sigma=0.0)
    assert process.at(1.0).log_snr == -math.inf
    assert process.at(1.0).ratio == process.at(1.0).angle == 0.0


def test_ouve_ends_at_the_published_scale():
    node = OUVE().at(1.0)
    assert node.alpha == pytest.approx(math.exp(-1.5), rel=1e-15)
    assert node.sigma == pytest.approx(0.388983, abs=5e-7)


@given(ouves, times)
def test_ouve_is_the_paper_s_perturbation_kernel(process: OUVE, time: float):
    log = math.log(process.sigma_max / process.sigma_min)
    variance = process.sigma_min**2 * (math.exp(2 * log * time) - math.exp(-2 * process.theta * time)) * log / (process.theta + log)
    node = process.at(time)
    assert node.alpha == pytest.approx(math.exp(-process.theta * time), rel=1e-12)
    assert node.kappa == pytest.approx(1 - math.exp(-process.theta * time), rel=1e-12, abs=1e-15)
    assert node.sigma**2 == pytest.approx(variance, rel=1e-10)


@given(bridges, times)
def test_the_bridge_is_the_paper_s_marginal(process: BridgeVE, time: float):
    log = 2 * math.log(process.k)
    before, whole = (process.c * (process.k ** (2 * t) - 1) / log for t in (time, 1.0))
    after = whole - before
    node = process.at(time)
    assert (node.alpha, node.kappa, node.sigma**2) == pytest.approx((after / whole, before / whole, after * before / whole), rel=1e-11)


@given(processes, times)
def test_the_sde_is_the_one_that_has_this_path(process: Process, time: float):
    width = 1e-4
    before, node, after = (process.at(time + shift) for shift in (-width, 0.0, width))

    def slope(value):
        return (value(after) - value(before)) / (2 * width)

    rate, pull, diffusion = process.sde(time)
    assert rate == pytest.approx(slope(lambda n: n.alpha) / node.alpha, rel=1e-4, abs=1e-7)
    assert pull == pytest.approx(slope(lambda n: n.kappa) - node.kappa * rate, rel=1e-4, abs=1e-7)
    assert diffusion**2 == pytest.approx(slope(lambda n: n.sigma**2) - 2 * node.sigma**2 * rate, rel=1e-4)


@given(bridges)
def test_a_bridge_pulls_infinitely_hard_at_its_end(process: BridgeVE):
    rate, pull, diffusion = process.sde(1.0)
    assert (rate, pull) == (-math.inf, math.inf)
    assert diffusion == pytest.approx(math.sqrt(process.c) * process.k)


@given(processes, st.integers(1, 14))
def test_no_digits_are_lost_near_the_ends(process: Process, exponent: int):
    for time in (10.0**-exponent, 1 - 10.0**-exponent):
        node = process.at(time)
        with localcontext() as context:
            context.prec = 60
            exact = _exact(process, Decimal(time))
        assert [node.alpha, node.kappa, node.sigma] == pytest.approx([float(value) for value in exact], rel=1e-13, abs=0)


def _exact(process: Process, t: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    if isinstance(process, OUVE):
        theta, low, high = (Decimal(value) for value in (process.theta, process.sigma_min, process.sigma_max))
        log, decay = (high / low).ln(), (-theta * t).exp()
        return decay, 1 - decay, (low**2 * ((2 * log * t).exp() - decay**2) * log / (theta + log)).sqrt()
    assert isinstance(process, BridgeVE)
    log, c = 2 * Decimal(process.k).ln(), Decimal(process.c)
    before, whole = c * ((log * t).exp() - 1) / log, c * (log.exp() - 1) / log
    return (whole - before) / whole, before / whole, (before * (whole - before) / whole).sqrt()


@given(processes, st.floats(0, 1), st.floats(0, 1))
def test_the_snr_falls_as_time_goes_on(process: Process, one: float, other: float):
    early, late = sorted((one, other))
    assert process.at(early).log_snr >= process.at(late).log_snr
    if late - early > 1e-6:
        assert process.at(early).angle > process.at(late).angle


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_made_from_plain_values_and_told_its_time(name: str):
    process = PROCESSES.build({"name": name})
    assert PROCESSES.name_of(process) == name
    assert process == type(process)()
    assert process.network_time(0.25) == 0.25
    with pytest.raises(dataclasses.FrozenInstanceError):
        process.k = 1.0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "ouvw"}, "unknown process 'ouvw': did you mean 'ouve'?"),
        ({"name": "ouve", "sigma": 0.1}, "process 'ouve' has no option 'sigma': did you mean 'sigma_min' or 'sigma_max'?"),
        ({"name": "ouve", "theta": -1.0}, "OUVE: theta is -1.0, expected 0 to 100"),
        ({"name": "ouve", "sigma_max": 0.01}, "OUVE: sigma_max is 0.01, expected more than sigma_min = 0.05"),
        ({"name": "ouve", "sigma_min": "small"}, "OUVE: sigma_min is 'small', expected float"),
        ({"name": "bridge-ve", "k": 1.0}, "BridgeVE: k is 1.0, expected 1.001 to 1000"),
        ({"name": "bridge-ve", "c": float("nan")}, "BridgeVE: c is nan, expected float"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_clear_line(config: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        PROCESSES.build(config)
    assert str(caught.value) == message
