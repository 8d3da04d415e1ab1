"""What holds of every registered process, whatever it is: a new one needs its parameters, its exact path and its diffusion here."""

import math
from collections.abc import Callable
from dataclasses import astuple
from decimal import Decimal, localcontext
from functools import cache

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import (
    BBED,
    DDPM,
    EDM,
    OUVE,
    OUVP,
    PROCESSES,
    VE,
    VP,
    BridgeVE,
    BridgeVP,
    BrownianBridge,
    FlowSE,
    Node,
    Process,
    RectifiedFlow,
    ResShift,
    sde,
)
from sgaudio.processes.chain import Chain

PARAMETERS: dict[str, st.SearchStrategy[Process]] = {
    "ouve": st.builds(OUVE, theta=st.floats(0.01, 5), sigma_min=st.floats(0.01, 0.1), sigma_max=st.floats(0.2, 2)),
    "ouvp": st.builds(OUVP, beta_min=st.floats(0.01, 1), beta_max=st.floats(2, 30), stiffness=st.floats(0.1, 3)),
    "bridge-ve": st.builds(BridgeVE, k=st.floats(1.1, 5), c=st.floats(0.05, 2)),
    "bridge-vp": st.builds(BridgeVP, beta_min=st.floats(0.01, 1), beta_max=st.floats(2, 30), c=st.floats(0.05, 2)),
    "bbed": st.builds(BBED, k=st.floats(1.01, 10), c=st.floats(0.05, 2)),
    "brownian-bridge": st.builds(BrownianBridge, variance=st.floats(0.05, 4)),
    "flowse": st.builds(FlowSE, sigma_min=st.just(0.0) | st.floats(0.001, 0.1), sigma_max=st.floats(0.2, 2)),
    "resshift": st.builds(
        ResShift,
        steps=st.integers(2, 40),
        noise_scale=st.floats(0.5, 3),
        shape=st.floats(0.2, 1.5),
        min_noise_level=st.floats(0.01, 0.2),
        last_root=st.floats(0.5, 0.9999),
    ),
    "vp": st.builds(VP, beta_min=st.floats(0.01, 1), beta_max=st.floats(2, 30)),
    "ve": st.builds(VE, sigma_min=st.floats(0.001, 0.1), sigma_max=st.floats(1, 100)),
    "edm": st.builds(EDM, sigma_max=st.floats(0.5, 100)),
    "ddpm": st.builds(
        DDPM,
        steps=st.integers(1, 120),
        betas=st.sampled_from(["linear", "cosine"]),
        beta_min=st.floats(1e-5, 1e-3),
        beta_max=st.floats(0.001, 0.3),
    ),
    "rectified-flow": st.just(RectifiedFlow()),
}
BRIDGES = ["bridge-ve", "bridge-vp", "bbed", "brownian-bridge"]

names = pytest.mark.parametrize("name", PROCESSES)
times = st.floats(0.02, 0.98) | st.integers(1, 14).flatmap(lambda digits: st.sampled_from([10.0**-digits, 1 - 10.0**-digits]))


@names
@given(st.data())
def test_it_starts_exactly_clean(name: str, data: st.DataObject):
    start = data.draw(PARAMETERS[name]).at(0.0)
    assert start == Node(time=0.0, alpha=1.0, kappa=0.0, sigma=0.0)
    assert math.copysign(1, start.sigma) == 1
    assert start.log_snr == start.ratio == math.inf
    assert start.angle == math.pi / 2


@pytest.mark.parametrize("name", BRIDGES)
@given(st.data())
def test_a_bridge_ends_exactly_in_the_noisy_sound(name: str, data: st.DataObject):
    end = data.draw(PARAMETERS[name]).at(1.0)
    assert end == Node(time=1.0, alpha=0.0, kappa=1.0, sigma=0.0)
    assert end.log_snr == -math.inf
    assert end.ratio == end.angle == 0.0


@pytest.mark.parametrize("name", sorted(set(PROCESSES) - set(BRIDGES)))
@given(st.data())
def test_what_is_no_bridge_ends_in_noise(name: str, data: st.DataObject):
    end = data.draw(PARAMETERS[name]).at(1.0)
    assert end.sigma > 0
    assert (end.alpha == 0) == (name in ("flowse", "rectified-flow"))


@names
@given(st.data(), times)
@settings(max_examples=50)
def test_its_path_is_the_published_one_to_the_last_digits(name: str, data: st.DataObject, time: float):
    process = data.draw(PARAMETERS[name])
    assume(is_smooth(process, time))
    node = process.at(time)
    with localcontext(prec=60):
        alpha, kappa, variance = path(process)(Decimal(time))
        exact = [float(value) for value in (alpha, kappa, variance.sqrt())]
    assert [node.alpha, node.kappa, node.sigma] == pytest.approx(exact, rel=1e-13, abs=0)


@names
@given(st.data(), times)
@settings(max_examples=50)
def test_its_slope_is_the_derivative_of_its_path(name: str, data: st.DataObject, time: float):
    process = data.draw(PARAMETERS[name])
    assume(is_smooth(process, time))
    with localcontext(prec=60):
        exact, t = path(process), Decimal(time)
        width = t * (1 - t) * Decimal("1e-12")
        slope = [float((after - before) / (2 * width)) for before, after in zip(exact(t - width), exact(t + width), strict=True)]
        scale = float(exact(t)[2] / (t * (1 - t)))  # where the slope of the variance passes through zero
    assert process.slope(time)[:2] == pytest.approx(slope[:2], rel=1e-12, abs=0)
    assert process.slope(time)[2] == pytest.approx(slope[2], rel=1e-12, abs=1e-12 * scale)


@names
@given(st.data())
def test_its_slope_is_finite_and_continuous_at_both_ends(name: str, data: st.DataObject):
    process = data.draw(PARAMETERS[name])
    scale = max(map(abs, process.slope(0.0) + process.slope(1.0)))
    for end, near in ((0.0, 1e-13), (1.0, 1 - 1e-13)):
        assert tuple(process.slope(end)) == pytest.approx(tuple(process.slope(near)), rel=1e-9, abs=1e-12 * scale)


@names
@given(st.data(), st.floats(0, 1), st.floats(0, 1))
def test_the_snr_falls_as_time_goes_on(name: str, data: st.DataObject, one: float, other: float):
    process = data.draw(PARAMETERS[name])
    early, late = sorted((one, other))
    assert process.at(early).log_snr >= process.at(late).log_snr
    if late - early > 1e-6:
        assert process.at(early).angle > process.at(late).angle


@names
@given(st.data(), st.floats(0.02, 0.98))
def test_its_diffusion_is_the_published_one(name: str, data: st.DataObject, time: float):
    process = data.draw(PARAMETERS[name])
    assume(is_smooth(process, time))
    rate, pull, squared = DIFFUSIONS[type(process)](process, time)
    assert sde(process, time) == pytest.approx((rate, pull, math.sqrt(squared)), rel=1e-11, abs=1e-14)


@pytest.mark.parametrize("name", BRIDGES)
@given(st.data())
def test_a_bridge_pulls_infinitely_hard_at_its_end(name: str, data: st.DataObject):
    process = data.draw(PARAMETERS[name])
    rate, pull, diffusion = sde(process, 1.0)
    assert (rate, pull) == (-math.inf, math.inf)
    assert diffusion == pytest.approx(math.sqrt(DIFFUSIONS[type(process)](process, 1 - 1e-12)[2]), rel=1e-9)


def test_a_flow_decays_infinitely_fast_at_its_end():
    assert sde(RectifiedFlow(), 1.0) == (-math.inf, 0.0, math.inf)
    assert sde(FlowSE(), 1.0) == (-math.inf, math.inf, math.inf)


@pytest.mark.parametrize("process", [VE(sigma_min=0.1), FlowSE(sigma_min=0.1)], ids=["ve", "flowse"])
def test_a_published_least_noise_is_there_at_once_after_the_clean_start(process: Process):
    assert process.at(0.0).sigma == 0
    assert process.at(1e-300).sigma == pytest.approx(0.1, rel=1e-15)
    assert process.slope(0.0) == process.slope(1e-300)


@names
def test_it_is_made_from_plain_values(name: str):
    process = PROCESSES.build({"name": name})
    assert PROCESSES.name_of(process) == name
    assert process == type(process)()
    assert hash(process) == hash(type(process)())
    assert isinstance(process, Process)


def test_the_parameters_are_the_published_ones_unless_told_otherwise():
    assert {name: astuple(PROCESSES[name]()) for name in PROCESSES} == {
        "ouve": (1.5, 0.05, 0.5),
        "ouvp": (0.1, 20.0, 1.0),  # of VP: none are published
        "bridge-ve": (2.6, 0.4),
        "bridge-vp": (0.01, 20.0, 0.3),
        "bbed": (2.6, 0.52),
        "brownian-bridge": (2.0,),
        "flowse": (0.0, 0.487),
        "resshift": (15, 2.0, 0.3, 0.04, 0.99),
        "vp": (0.1, 20.0),
        "ve": (0.01, 50.0),
        "edm": (80.0,),
        "ddpm": (1000, "linear", 1e-4, 0.02),
        "rectified-flow": (),
    }


def test_networks_are_told_what_they_were_trained_on():
    told = {name: PROCESSES[name]().network_time(0.5) for name in PROCESSES}
    assert {name: time for name, time in told.items() if time != 0.5} == {"edm": 40.0, "ddpm": 499.0, "resshift": 6.5}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "ouvw"}, "unknown process 'ouvw': did you mean 'ouvp' or 'ouve'?"),
        ({"name": "ouve", "sigma": 0.1}, "process 'ouve' has no option 'sigma': did you mean 'sigma_min' or 'sigma_max'?"),
        ({"name": "ouve", "theta": -1.0}, "OUVE: theta is -1.0, expected 0 to 100"),
        ({"name": "ouve", "sigma_max": 0.05}, "OUVE: sigma_max is 0.05, expected more than sigma_min = 0.05"),
        ({"name": "ouve", "sigma_min": "small"}, "OUVE: sigma_min is 'small', expected float"),
        ({"name": "bridge-ve", "k": 1.0}, "BridgeVE: k is 1.0, expected 1.001 to 1000"),
        ({"name": "bridge-ve", "c": float("nan")}, "BridgeVE: c is nan, expected float"),
        ({"name": "ouvp", "stiffness": 0}, "OUVP: stiffness is 0, expected 1e-06 to 10"),
        ({"name": "ouvp", "beta_max": 0.1}, "OUVP: beta_max is 0.1, expected more than beta_min = 0.1"),
        ({"name": "bridge-vp", "c": -0.3}, "BridgeVP: c is -0.3, expected 1e-09 to 1e+06"),
        ({"name": "bridge-vp", "beta_min": 20.0}, "BridgeVP: beta_max is 20.0, expected more than beta_min = 20.0"),
        ({"name": "bbed", "k": 11}, "BBED: k is 11, expected 1.001 to 10"),
        ({"name": "brownian-bridge", "variance": 0.0}, "BrownianBridge: variance is 0.0, expected 1e-09 to 1e+06"),
        ({"name": "flowse", "sigma_min": -0.1}, "FlowSE: sigma_min is -0.1, expected 0 to 1000"),
        ({"name": "flowse", "sigma_min": 0.487}, "FlowSE: sigma_max is 0.487, expected more than sigma_min = 0.487"),
        ({"name": "resshift", "steps": 1}, "ResShift: steps is 1, expected 2 to 100000"),
        ({"name": "resshift", "steps": 15.0}, "ResShift: steps is 15.0, expected int"),
        ({"name": "resshift", "last_root": 0.02}, "ResShift: last_root is 0.02, expected more than the first one, 0.02"),
        ({"name": "vp", "beta_max": 0.05}, "VP: beta_max is 0.05, expected more than beta_min = 0.1"),
        ({"name": "ve", "sigma_max": 0.01}, "VE: sigma_max is 0.01, expected more than sigma_min = 0.01"),
        ({"name": "edm", "sigma_max": 0}, "EDM: sigma_max is 0, expected 1e-06 to 1e+06"),
        ({"name": "ddpm", "steps": 0}, "DDPM: steps is 0, expected 1 to 100000"),
        ({"name": "ddpm", "betas": "sigmoid"}, "DDPM: betas is 'sigmoid', expected one of 'linear', 'cosine'"),
        ({"name": "ddpm", "beta_min": 0.1}, "DDPM: beta_max is 0.02, expected beta_min = 0.1 or more"),
        (
            {"name": "ddpm", "beta_max": 0.9, "steps": 10_000},
            "DDPM: beta_max is 0.9, with which 10000 steps leave an alpha of 0: expected less",
        ),
        ({"name": "rectified-flow", "sigma": 1.0}, "process 'rectified-flow' has no option 'sigma': known: "),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_clear_line(config: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        PROCESSES.build(config)
    assert str(caught.value) == message


# The published paths in 60 digits, without a thought for what cancels: (alpha, kappa, sigma^2) of a time.

Path = Callable[[Decimal], tuple[Decimal, Decimal, Decimal]]


def path(process: Process) -> Path:
    return PATHS[type(process)](process)


def is_smooth(process: Process, time: float) -> bool:
    """Whether a time is far enough from the levels of a chain, where its path has kinks."""
    level = time * getattr(process, "steps", 0.5)
    return not isinstance(process, Chain) or level < 0.5 or level > process.steps - 1e-3 or abs(level - round(level)) > 1e-3


def exact(process: Process, *fields: str) -> list[Decimal]:
    return [Decimal(getattr(process, field)) for field in fields]


def beta_integral(low: Decimal, high: Decimal, t: Decimal) -> Decimal:
    return low * t + (high - low) * t**2 / 2


def ouve(process: OUVE) -> Path:
    theta, low, high = exact(process, "theta", "sigma_min", "sigma_max")
    log = (high / low).ln()

    def at(t: Decimal):
        decay = (-theta * t).exp()
        return decay, 1 - decay, low**2 * ((2 * log * t).exp() - decay**2) * log / (theta + log)

    return at


def ouvp(process: OUVP) -> Path:
    low, high, stiffness = exact(process, "beta_min", "beta_max", "stiffness")

    def at(t: Decimal):
        decay = (-stiffness * beta_integral(low, high, t) / 2).exp()
        return decay, 1 - decay, (1 - decay**2) / stiffness

    return at


def schroedinger(scale: Callable[[Decimal], Decimal], variance: Callable[[Decimal], Decimal]) -> Path:
    """2407.16074, eqs. 9 and 11: the bridge of x_t = scale (x_0 + sqrt(variance) n)."""

    def at(t: Decimal):
        before, whole, last = variance(t), variance(Decimal(1)), scale(Decimal(1))
        after = whole - before
        return scale(t) * after / whole, scale(t) / last * before / whole, scale(t) ** 2 * before * after / whole

    return at


def bridge_ve(process: BridgeVE) -> Path:
    k, c = exact(process, "k", "c")
    return schroedinger(lambda t: Decimal(1), lambda t: c * ((2 * k.ln() * t).exp() - 1) / (2 * k.ln()))


def bridge_vp(process: BridgeVP) -> Path:
    low, high, c = exact(process, "beta_min", "beta_max", "c")
    return schroedinger(
        lambda t: (-beta_integral(low, high, t) / 2).exp(),
        lambda t: c * (beta_integral(low, high, t).exp() - 1),
    )


def bbed(process: BBED) -> Path:
    k, c = exact(process, "k", "c")

    def integrand(part: Decimal, span: Decimal) -> Decimal:
        """k^(2v / (1 + v)) dv, over the logarithm of 1 + v."""
        growth = (part * span).exp()
        return span * growth * (2 * k.ln() * (1 - 1 / growth)).exp()

    def at(t: Decimal):
        span = -(1 - t).ln()
        whole = sum(weight * integrand(part, span) for part, weight in quadrature())
        return 1 - t, t, c * (1 - t) ** 2 * whole

    return at


@cache
def quadrature() -> list[tuple[Decimal, Decimal]]:
    """Nodes and weights on [0, 1]: the double exponential rule (Takahasi, Mori 1974), good to 30 digits here."""
    with localcontext(prec=60):
        rule = []
        for index in range(-65, 66):
            s = Decimal(index) / 16
            grown, shrunk = s.exp(), (-s).exp()
            part = 1 / (1 + (Decimal("1.5") * (shrunk - grown)).exp())
            rule.append((part, Decimal("1.5") * (grown + shrunk) * part * (1 - part) / 16))
        return rule


def brownian_bridge(process: BrownianBridge) -> Path:
    (variance,) = exact(process, "variance")
    return lambda t: (1 - t, t, variance * t * (1 - t))


def flowse(process: FlowSE) -> Path:
    low, high = exact(process, "sigma_min", "sigma_max")
    return lambda t: (1 - t, t, ((1 - t) * low + t * high) ** 2)


def resshift(process: ResShift) -> Path:
    scale, shape, level, last = exact(process, "noise_scale", "shape", "min_noise_level", "last_root")
    first = min(level / scale, level)

    def at(t: Decimal):
        n = t * process.steps
        eta = n * first**2 if n < 1 else (first * (last / first) ** (((n - 1) / (process.steps - 1)) ** shape)) ** 2
        return 1 - eta, eta, scale**2 * eta

    return at


def vp(process: VP) -> Path:
    low, high = exact(process, "beta_min", "beta_max")

    def at(t: Decimal):
        kept = (-beta_integral(low, high, t)).exp()
        return kept.sqrt(), Decimal(0), 1 - kept

    return at


def ve(process: VE) -> Path:
    low, high = exact(process, "sigma_min", "sigma_max")
    return lambda t: (Decimal(1), Decimal(0), (low * (high / low) ** t) ** 2)


def edm(process: EDM) -> Path:
    (high,) = exact(process, "sigma_max")
    return lambda t: (Decimal(1), Decimal(0), (high * t) ** 2)


def ddpm(process: DDPM) -> Path:
    table, steps = alpha_bars(process), process.steps

    def at(t: Decimal):
        below = min(int(t * steps), steps - 1)
        part = t * steps - below
        kept = ((1 - part) * table[below].ln() + part * table[below + 1].ln()).exp()
        return kept.sqrt(), Decimal(0), 1 - kept

    return at


@cache
def alpha_bars(process: DDPM) -> list[Decimal]:
    low, high, steps = *exact(process, "beta_min", "beta_max"), process.steps
    if process.betas == "linear":
        betas = [low + (high - low) * n / max(steps - 1, 1) for n in range(steps)]
    else:
        quarter = Decimal("1.57079632679489661923132169163975144209858469968755291048747") / Decimal("1.008")
        squares = [cosine(quarter * (Decimal(n) / steps + Decimal("0.008"))) ** 2 for n in range(steps + 1)]
        betas = [min(1 - squares[n + 1] / squares[n], Decimal("0.999")) for n in range(steps)]
    table = [Decimal(1)]
    for beta in betas:
        table.append(table[-1] * (1 - beta))
    return table


def cosine(angle: Decimal) -> Decimal:
    total, term = Decimal(0), Decimal(1)
    for n in range(1, 60, 2):
        total += term
        term *= -(angle**2) / (n * (n + 1))
    return total


PATHS: dict[type, Callable[..., Path]] = {
    OUVE: ouve,
    OUVP: ouvp,
    BridgeVE: bridge_ve,
    BridgeVP: bridge_vp,
    BBED: bbed,
    BrownianBridge: brownian_bridge,
    FlowSE: flowse,
    ResShift: resshift,
    VP: vp,
    VE: ve,
    EDM: edm,
    DDPM: ddpm,
    RectifiedFlow: lambda process: lambda t: (1 - t, Decimal(0), t**2),
}


# The diffusions as published: (rate, pull, diffusion^2) at a time.

Diffusion = tuple[float, float, float]


def beta(process: OUVP | BridgeVP | VP, t: float) -> tuple[float, float, float]:
    """beta at a time, its integral up to it, and that up to 1."""
    low, rise = process.beta_min, process.beta_max - process.beta_min
    return low + rise * t, low * t + rise * t**2 / 2, low + rise / 2


def ouve_diffusion(process: OUVE, t: float) -> Diffusion:
    ratio = process.sigma_max / process.sigma_min
    return -process.theta, process.theta, 2 * math.log(ratio) * (process.sigma_min * ratio**t) ** 2


def ouvp_diffusion(process: OUVP, t: float) -> Diffusion:
    now, _, _ = beta(process, t)
    return -process.stiffness * now / 2, process.stiffness * now / 2, now


def bridge_ve_diffusion(process: BridgeVE, t: float) -> Diffusion:
    squared = process.c * process.k ** (2 * t)
    after = process.c * (process.k**2 - process.k ** (2 * t)) / (2 * math.log(process.k))
    return -squared / after, squared / after, squared


def bridge_vp_diffusion(process: BridgeVP, t: float) -> Diffusion:
    now, past, whole = beta(process, t)
    alpha, last, after = math.exp(-past / 2), math.exp(-whole / 2), process.c * (math.exp(whole) - math.exp(past))
    squared = process.c * now
    return -now / 2 - squared / (alpha**2 * after), squared / (alpha * last * after), squared


def straight(squared: float, t: float) -> Diffusion:
    return -1 / (1 - t), 1 / (1 - t), squared


def flowse_diffusion(process: FlowSE, t: float) -> Diffusion:
    sigma = process.sigma_min + t * (process.sigma_max - process.sigma_min)
    return straight(2 * sigma * (process.sigma_max - process.sigma_min) + 2 * sigma**2 / (1 - t), t)


def resshift_diffusion(process: ResShift, t: float) -> Diffusion:
    first = min(process.min_noise_level / process.noise_scale, process.min_noise_level)
    n, last, growth = t * process.steps, process.steps - 1, 2 * math.log(process.last_root / first)
    eta, slope = n * first**2, process.steps * first**2
    if n > 1:
        eta = first**2 * math.exp(growth * ((n - 1) / last) ** process.shape)
        slope = eta * growth * process.shape * (n - 1) ** (process.shape - 1) / last**process.shape * process.steps
    return -slope / (1 - eta), slope / (1 - eta), process.noise_scale**2 * slope * (1 + eta) / (1 - eta)


def vp_diffusion(process: VP, t: float) -> Diffusion:
    now, _, _ = beta(process, t)
    return -now / 2, 0.0, now


def ve_diffusion(process: VE, t: float) -> Diffusion:
    ratio = process.sigma_max / process.sigma_min
    return 0.0, 0.0, 2 * math.log(ratio) * (process.sigma_min * ratio**t) ** 2


def ddpm_diffusion(process: DDPM, t: float) -> Diffusion:
    below = int(t * process.steps)
    with localcontext(prec=60):
        before, after = alpha_bars(process)[below : below + 2]
        now = float(process.steps * (before / after).ln())
    return -now / 2, 0.0, now


DIFFUSIONS: dict[type, Callable[..., Diffusion]] = {
    OUVE: ouve_diffusion,
    OUVP: ouvp_diffusion,
    BridgeVE: bridge_ve_diffusion,
    BridgeVP: bridge_vp_diffusion,
    BBED: lambda process, t: straight(process.c * process.k ** (2 * t), t),
    BrownianBridge: lambda process, t: straight(process.variance, t),
    FlowSE: flowse_diffusion,
    ResShift: resshift_diffusion,
    VP: vp_diffusion,
    VE: ve_diffusion,
    EDM: lambda process, t: (0.0, 0.0, 2 * process.sigma_max**2 * t),
    DDPM: ddpm_diffusion,
    RectifiedFlow: lambda process, t: (-1 / (1 - t), 0.0, 2 * t / (1 - t)),
}
