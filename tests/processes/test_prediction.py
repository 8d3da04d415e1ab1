"""Every kind of prediction on every registered process: definitions are written here as the papers have them."""

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, PREDICTIONS, PROCESSES, VP, BridgeVE, FlowSE, Node, Prediction, Process, RectifiedFlow, Slope, denoiser
from sgaudio.processes.prediction import Point, Reading
from sgaudio.solvers import SOLVERS, linear, record, sample
from sgaudio.solvers.plan import Call

SGMSE = {
    "sgmse mean": {"predicts": "mean", "scaling": "1/t"},
    "sgmse scaled": {"predicts": "score", "scaling": "1/sigma", "c_in": "edm"},
    "sgmse data": {"predicts": "data", "c_in": "edm", "c_out": "edm", "c_skip": "edm", "sigma_data": 0.5},
}
KINDS = [*PREDICTIONS, *SGMSE]
EVERYWHERE = ["data", "velocity", "edm", "residual"]
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "sgmse_losses.json").read_text())
CLEAN, NOISY, NOISE, OTHER = torch.randn(4, 6, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))

kinds = pytest.mark.parametrize("kind", KINDS)
names = pytest.mark.parametrize("name", PROCESSES)
processes = st.sampled_from([PROCESSES[name]() for name in PROCESSES])
times = st.floats(1e-6, 1 - 1e-6) | st.sampled_from([1e-6, 1 - 1e-6])


def state(t: Node) -> Tensor:
    return t.alpha * CLEAN + t.kappa * NOISY + t.sigma * NOISE


def options(kind: str) -> dict[str, Any]:
    return SGMSE.get(kind, {})


def prediction(kind: str, process: Process) -> Prediction:
    return Prediction(kind.split()[0], process, **options(kind))


def sgmse_factors(t: Node, c_in="1", c_out="1", c_skip="0", sigma_data=0.1, scaling="none", predicts="score") -> tuple[float, ...]:
    """c_in, c_out, c_skip and the scaling, of the published table."""
    total = math.sqrt(t.sigma**2 + sigma_data**2)
    return (
        1 / total if c_in == "edm" else 1.0,
        {"1": lambda: 1.0, "sigma": lambda: t.sigma, "1/sigma": lambda: 1 / t.sigma, "edm": lambda: t.sigma * sigma_data / total}[c_out](),
        sigma_data**2 / total**2 if c_skip == "edm" else 0.0,
        {"none": lambda: 1.0, "1/sigma": lambda: 1 / t.sigma, "1/t": lambda: 1 / t.time}[scaling](),
    )


def sgmse_said(t: Node, clean: Tensor, noise: Tensor, predicts: str = "score", **factors: Any) -> Tensor:
    """What a network of SGMSE+ that knows all says."""
    mean = t.alpha * clean + t.kappa * NOISY
    _, out, skip, scaling = sgmse_factors(t, **factors)
    if predicts == "mean":
        return mean / scaling
    wanted = clean if predicts == "data" else -noise / t.sigma
    return (wanted - skip * (mean + t.sigma * noise)) / out / scaling


def said(kind: str, process: Process, time: float, clean: Tensor, noise: Tensor, sigma_data: float = 0.5) -> Tensor:
    """What a network that knows the clean sound and the noise says."""
    t, slope = process.at(time), process.slope(time)
    if kind.startswith("sgmse"):
        return sgmse_said(t, clean, noise, **options(kind))
    if kind == "data":
        return clean
    if kind == "residual":
        return NOISY - clean
    if t.sigma == 0:  # a bridge's end, as the limit
        return {"velocity": -clean, "edm": clean / sigma_data}[kind]
    if kind == "noise":
        return noise
    if kind == "score":
        return -noise / t.sigma
    if kind == "velocity":
        return (t.alpha * noise - t.sigma * clean) / math.sqrt(t.alpha**2 + t.sigma**2)
    if kind == "flow":
        return slope.alpha * clean + slope.kappa * NOISY + slope.variance / (2 * t.sigma) * noise
    if t.alpha == 0:
        return clean / sigma_data
    sigma, x = t.sigma / t.alpha, clean + t.sigma / t.alpha * noise  # the paper's
    skip, out = sigma_data**2 / (sigma**2 + sigma_data**2), sigma * sigma_data / math.sqrt(sigma**2 + sigma_data**2)
    return (clean - skip * x) / out


def error(got: Tensor, expected: Tensor, *terms: Tensor) -> float:
    """The largest error, relative to the size of the terms that were added up."""
    size = torch.stack([term.abs() for term in (expected, *terms)]).sum(0)
    return float(((got - expected).abs() / size).max())


@kinds
@given(processes, times)
def test_a_network_that_knows_all_is_read_as_the_clean_sound(kind: str, process: Process, time: float):
    conversion, t = prediction(kind, process).at(time), process.at(time)
    output, x = said(kind, process, time, CLEAN, NOISE), state(t)
    terms = (conversion.output * output, conversion.state * (t.alpha * CLEAN), conversion.state * (t.sigma * NOISE))
    assert error(conversion.clean(output, x, NOISY), CLEAN, *terms, conversion.state * x, conversion.noisy * NOISY) < 1e-12


@pytest.mark.parametrize("kind", EVERYWHERE)
@names
def test_some_kinds_speak_at_the_start_of_every_walk(kind: str, name: str):
    process = PROCESSES[name]()
    conversion = Prediction(kind, process).at(1.0)
    output = said(kind, process, 1.0, CLEAN, NOISE)
    assert error(conversion.clean(output, state(process.at(1.0)), NOISY), CLEAN, process.at(1.0).sigma * NOISE) < 1e-14


@kinds
@given(processes, times)
def test_target_and_clean_are_inverses(kind: str, process: Process, time: float):
    conversion, x = prediction(kind, process).at(time), state(process.at(time))
    target = conversion.target(OTHER, x, NOISY)
    # of the two errors, each is seen where it is not magnified: both in units of the clean sound
    terms = (conversion.state * x, conversion.state * process.at(time).kappa * NOISY, conversion.noisy * NOISY)
    assert error(conversion.clean(target, x, NOISY), OTHER, *terms, conversion.output * target) < 1e-12
    back = conversion.target(conversion.clean(OTHER, x, NOISY), x, NOISY)
    assert error(conversion.output * back, conversion.output * OTHER, *terms) < 1e-12


# But those that do not look at the state, and those that are refused there.
@pytest.mark.parametrize("kind", sorted({*KINDS} - {"data", "residual", "sgmse mean", "sgmse scaled"}))
@names
def test_a_clean_state_is_its_own_estimate_whatever_the_network_says(kind: str, name: str):
    conversion = prediction(kind, PROCESSES[name]()).at(0.0)
    assert error(conversion.clean(OTHER, CLEAN, NOISY), CLEAN) < 1e-15


@given(processes, st.integers(20, 979))
def test_flow_is_the_velocity_of_the_path(process: Process, thousandth: int):
    time, width = (thousandth + 0.5) / 1000, 1e-7  # between the levels of the chains, at which their paths bend
    moving = (state(process.at(time + width)) - state(process.at(time - width))) / (2 * width)
    conversion, x = Prediction("flow", process).at(time), state(process.at(time))
    assert error(conversion.clean(moving, x, NOISY), CLEAN, conversion.output * moving, conversion.state * x) < 1e-6


@given(st.floats(1e-6, 1))
def test_flow_on_straight_paths_is_a_straight_line_up_to_the_start(time: float):
    for process in (RectifiedFlow(), FlowSE()):
        conversion = Prediction("flow", process).at(time)
        # D = x - t F: the state, less the way that it came
        parts = (conversion.state, conversion.noisy - conversion.state * process.at(time).kappa, conversion.output)
        assert parts == pytest.approx((1.0, 0.0, -time), rel=1e-14, abs=1e-14)


@given(processes, times | st.sampled_from([0.0, 1.0]))
def test_edm_with_unit_data_is_minus_the_velocity(process: Process, time: float):
    edm, velocity = Prediction("edm", process, sigma_data=1.0).at(time), Prediction("velocity", process).at(time)
    assert (edm.state, edm.output) == pytest.approx((velocity.state, -velocity.output), rel=1e-15)


@given(processes, times, st.floats(0.05, 5))
def test_edm_shows_a_state_of_unit_variance_and_tells_its_noise(process: Process, time: float, sigma_data: float):
    conversion, t = Prediction("edm", process, sigma_data=sigma_data).at(time), process.at(time)
    assert conversion.scale == pytest.approx(1 / math.sqrt(sigma_data**2 * t.alpha**2 + t.sigma**2), rel=1e-14)
    seen, told = conversion.given(state(t), NOISY)
    torch.testing.assert_close(seen, conversion.scale * (state(t) - t.kappa * NOISY), rtol=1e-13, atol=0)
    torch.testing.assert_close(told, torch.full((6,), math.log(t.sigma / t.alpha) / 4, dtype=torch.float64), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(conversion.beside(NOISY), NOISY / sigma_data, rtol=1e-13, atol=0)


forms = st.fixed_dictionaries(
    {
        "predicts": st.sampled_from(["score", "mean", "data"]),
        "scaling": st.sampled_from(["none", "1/sigma", "1/t"]),
        "c_in": st.sampled_from(["1", "edm"]),
        "c_out": st.sampled_from(["1", "sigma", "1/sigma", "edm"]),
        "c_skip": st.sampled_from(["0", "edm"]),
        "sigma_data": st.floats(0.05, 5),
    }
)


@given(processes, times, forms)
def test_every_form_of_sgmse_is_read_as_published(process: Process, time: float, form: dict[str, Any]):
    conversion, t = Prediction("sgmse", process, **form).at(time), process.at(time)
    output, x, c_in = sgmse_said(t, CLEAN, NOISE, **form), state(t), sgmse_factors(t, **form)[0]
    terms = (conversion.output * output, conversion.state * x, conversion.state * t.kappa * NOISY, conversion.noisy * NOISY)
    assert error(conversion.clean(output, x, NOISY), CLEAN, *terms) < 1e-12
    assert error(conversion.output * conversion.target(OTHER, x, NOISY), OTHER - conversion.clean(0 * x, x, NOISY), OTHER, *terms) < 1e-12
    for seen, whole in ((conversion.given(x, NOISY)[0], x), (conversion.beside(NOISY), NOISY)):
        torch.testing.assert_close(seen, c_in * whole, rtol=1e-14, atol=0)


def drawn(name: str) -> np.ndarray:
    """The rule by which all inputs of the published values were drawn: a stream for each name."""
    return np.random.Generator(np.random.Philox(key=zlib.crc32(f"loss/{name}".encode()))).random((2, 2, 1, 256, 8))


def signal(name: str) -> Tensor:
    real, imaginary = 2 * drawn(name) - 1
    return torch.from_numpy(real + 1j * imaginary)


def test_targets_at_one_time_an_item_need_no_noisy_sound_either():
    conversion = Prediction("noise", VP()).at([0.3, 0.6])
    target = conversion.target(CLEAN[:2], OTHER[:2])
    torch.testing.assert_close(conversion.clean(target, OTHER[:2]), CLEAN[:2], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", GOLDEN)
def test_networks_of_sgmse_are_read_as_the_public_code_reads_them(name: str):
    process_name, loss, written = name.split("|")
    process: Process = {"ouve16": OUVE(), "sbve": BridgeVE()}[process_name]
    predicts = {"score_matching": "score", "denoiser": "mean", "data_prediction": "data"}[loss]
    form = dict(option.removeprefix("network_").split("=") for option in written.split() if not option.startswith("loss_weighting"))
    conversion = Prediction("sgmse", process, predicts=predicts, **form).at([0.2, 0.8])

    nodes = [(t.alpha, t.kappa, t.sigma) for t in map(process.at, (0.2, 0.8))]
    alpha, kappa, sigma = torch.tensor(nodes, dtype=torch.float64).T[..., None, None, None]
    radius, turn = drawn("z")
    noise, noisy = torch.from_numpy(np.sqrt(-np.log1p(-radius)) * np.exp(2j * math.pi * turn)), signal("y")
    x = alpha * signal("x") + kappa * noisy + sigma * noise

    out = conversion.clean(signal("net"), x, noisy)
    if predicts != "data":  # there the public code gives the score
        out = (alpha * out - (x - kappa * noisy)) / sigma**2
    published, accuracy = GOLDEN[name], 1e-12 if process_name == "ouve16" else 1e-7  # the public bridge adds 1e-8 to what it divides by
    assert conversion.given(x, noisy)[0].abs().sum().item() == pytest.approx(published["net_x_abs_sum"], rel=accuracy)
    assert out.abs().sum().item() == pytest.approx(published["out_abs_sum"], rel=accuracy)
    assert [out.real.sum().item(), out.imag.sum().item()] == pytest.approx(published["out_sum"], abs=accuracy * published["out_abs_sum"])


@names
def test_edm_tells_finite_numbers_at_both_ends(name: str):
    process = PROCESSES[name]()
    for time in (0.0, 1.0):
        seen, told = Prediction("edm", process).at(time).given(state(process.at(time)), NOISY)
        assert seen.isfinite().all()
        assert (told.abs() <= 6 * math.log(2)).all()
    assert Prediction("edm", process).at(0.0).told == -6 * math.log(2)


@pytest.mark.parametrize("name", [name for name in PROCESSES if PROCESSES[name]().at(1.0) == Node(1.0, 0.0, 1.0, 0.0)])
def test_velocity_and_edm_are_continuous_at_a_bridge_s_end(name: str):
    for kind, output in (("velocity", -1.0), ("edm", 0.5)):
        end, near = (Prediction(kind, PROCESSES[name]()).at(time) for time in (1.0, 1 - 1e-12))
        assert end.output == output
        assert near.output == pytest.approx(output, rel=1e-4)
        assert torch.equal(end.clean(OTHER, NOISY, NOISY), output * OTHER)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64])
@kinds
def test_a_time_for_each_item_gives_what_each_gives_by_itself(kind: str, dtype: torch.dtype):
    process, each = OUVE(), [0.05, 0.3, 0.3, 1.0]
    x, noisy, output = torch.randn(3, 4, 2, 5, dtype=dtype)
    for all_times in (each, torch.tensor(each, dtype=torch.float64)):
        together = prediction(kind, process).at(all_times)
        for index, time in enumerate(each):
            alone, item = prediction(kind, process).at(time), slice(index, index + 1)
            at_once = (*together.given(x, noisy), together.beside(noisy))
            by_itself = (*alone.given(x[item], noisy[item]), alone.beside(noisy[item]))
            for got, one in zip(at_once, by_itself, strict=True):
                torch.testing.assert_close(got[item], one, rtol=1e-6 if dtype.is_complex else 0, atol=0)
            for convert in ("clean", "target"):
                got, one = getattr(together, convert)(output, x, noisy)[item], getattr(alone, convert)(output[item], x[item], noisy[item])
                assert got.dtype == dtype
                torch.testing.assert_close(got, one, rtol=1e-5 if dtype.is_complex else 1e-15, atol=1e-5 if dtype.is_complex else 0)


@kinds
def test_a_network_in_half_precision_is_read_in_float32(kind: str):
    x, noisy, half = torch.randn(3, 2, 8).unbind()
    half, process = half.bfloat16(), OUVE()
    got = denoiser(lambda x, told: half, process, kind.split()[0], noisy, **options(kind))(x, 0.6)
    assert got.dtype == torch.float32
    assert torch.equal(got, prediction(kind, process).at(0.6).clean(half.float(), x, noisy))


def test_data_is_handed_on_as_it_is():
    output = torch.tensor([-0.0, 1.0])
    for time in (0.3, [0.3, 0.7]):
        conversion = Prediction("data", OUVE()).at(time)
        assert conversion.clean(output, output) is output
        assert conversion.target(output, output) is output


@names
@kinds
def test_a_network_is_told_what_it_was_trained_with(kind: str, name: str):
    process, x = PROCESSES[name](), torch.zeros(3, 1, 4, 5, dtype=torch.complex64)
    for time in (0.6, torch.tensor(0.6, dtype=torch.float64), torch.full((3,), 0.6, dtype=torch.float64)):
        conversion = prediction(kind, process).at(time)
        seen, told = conversion.given(x, x)
        expected = math.log(process.at(0.6).sigma / process.at(0.6).alpha) / 4 if kind == "edm" else process.network_time(0.6)
        assert torch.equal(told, torch.full((3,), expected))
        assert kind == "edm" or options(kind).get("c_in") == "edm" or (seen is x and conversion.beside(x) is x)


@names
@kinds
def test_a_walk_is_the_same_whatever_the_network_predicts(kind: str, name: str):
    """The network is the estimate for clean sound of variance 0.04; it says so in each way."""
    process = PROCESSES[name]()
    for first in (1.0, 0.95) if kind in EVERYWHERE else (0.95,):
        plan = record(SOLVERS["ddim"], process, linear(process, 6, first=first, last=0.05))
        start = state(process.at(first)) if process.at(first).sigma else NOISY
        whens = iter([row.time for row in plan.rows if isinstance(row, Call)])

        def oracle(x: Tensor, time: float, process: Process = process) -> Tensor:
            t = process.at(time)
            return t.alpha * 0.04 / (t.alpha**2 * 0.04 + t.sigma**2) * (x - t.kappa * NOISY) if t.alpha else 0 * x

        def network(seen: Tensor, told: Tensor, process: Process = process, whens=whens) -> Tensor:
            time = next(whens)
            t = process.at(time)
            if kind == "edm":
                z = seen * math.sqrt(t.sigma**2 + t.alpha**2 / 4)
            else:
                z = seen / sgmse_factors(t, **options(kind))[0] - t.kappa * NOISY
            clean = oracle(z + t.kappa * NOISY, time)
            return said(kind, process, time, clean, (z - t.alpha * clean) / t.sigma if t.sigma else z)

        denoise = denoiser(network, process, kind.split()[0], NOISY, **options(kind))
        got = sample(plan, denoise, start, NOISY)
        torch.testing.assert_close(got, sample(plan, oracle, start, NOISY), rtol=1e-10, atol=1e-10)


def test_a_kind_of_one_s_own_is_a_function():
    def mean(t: Point) -> Reading:
        """alpha x_0 + kappa y, as some networks of SGMSE+ say."""
        return Reading(0, -t.kappa / t.alpha, 1 / t.alpha)

    process = OUVE()
    t = process.at(0.4)
    denoise = denoiser(lambda x, told: t.alpha * CLEAN + t.kappa * NOISY, process, mean, NOISY)
    torch.testing.assert_close(denoise(state(t), 0.4), CLEAN)


def test_the_noisy_sound_is_not_asked_for_where_it_has_no_part():
    x = torch.randn(2, 5)
    for process, kind in ((OUVE(), "data"), (VP(), "noise"), (RectifiedFlow(), "edm"), (RectifiedFlow(), "flow")):
        assert denoiser(lambda x, told: x, process, kind)(x, 0.4).shape == x.shape


@pytest.mark.parametrize(
    ("kind", "process", "time", "message"),
    [
        ("noise", BridgeVE(), 1.0, "prediction 'noise' on BridgeVE says nothing of the clean sound at time 1"),
        ("score", RectifiedFlow(), 1.0, "prediction 'score' on RectifiedFlow says nothing of the clean sound at time 1"),
        ("noise", FlowSE(), [0.5, 1.0], "prediction 'noise' on FlowSE says nothing of the clean sound at time 1"),
        ("flow", BridgeVE(), torch.ones(2), "prediction 'flow' on BridgeVE says nothing of the clean sound at time 1"),
        ("sgmse", BridgeVE(), 1.0, "prediction 'sgmse' on BridgeVE says nothing of the clean sound at time 1"),
        ("sgmse mean", RectifiedFlow(), 1.0, "prediction 'sgmse' on RectifiedFlow says nothing of the clean sound at time 1"),
    ],
)
def test_a_kind_that_says_nothing_at_a_time_is_refused(kind: str, process: Process, time: object, message: str):
    with pytest.raises(ConfigError) as caught:
        prediction(kind, process).at(time)
    assert str(caught.value) == f"{message}: use 'data', 'velocity' or 'edm', or begin below that time"


@pytest.mark.parametrize("form", [{"scaling": "1/t"}, {"scaling": "1/sigma"}, {"c_out": "1/sigma"}, {"predicts": "mean", "scaling": "1/t"}])
def test_an_infinite_factor_of_sgmse_is_refused(form: dict[str, Any]):
    with pytest.raises(ConfigError, match=r"^prediction 'sgmse' on OUVE says nothing .* at time 0: use .*, or end above that time$"):
        Prediction("sgmse", OUVE(), **form).at([0.5, 0.0])


def no_network(x: Tensor, told: Tensor) -> Tensor:
    raise AssertionError


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: denoiser(no_network, OUVE(), "nois"), "unknown prediction 'nois': did you mean 'noise'?"),
        (lambda: denoiser(no_network, OUVE(), "noise", sigma_data=1.0), "prediction 'noise' has no option 'sigma_data': it takes none"),
        (lambda: denoiser(no_network, OUVE(), "edm", sigma_data=0.0), "prediction 'edm': sigma_data is 0.0, expected 1e-06 to 1e+06"),
        (
            lambda: denoiser(no_network, OUVE(), "sgmse", NOISY, predicts="noise"),
            "prediction 'sgmse': predicts is 'noise', expected one of 'score', 'mean', 'data'",
        ),
        (
            lambda: denoiser(no_network, OUVE(), "sgmse", NOISY, c_out="2"),
            "prediction 'sgmse': c_out is '2', expected one of '1', 'sigma', '1/sigma', 'edm'",
        ),
        (
            lambda: Prediction("sgmse", OUVE()).at(0.5).beside(None),  # pyright: ignore[reportArgumentType]
            "prediction 'sgmse' on OUVE: the noisy sound is a NoneType, expected a tensor of floating point or complex numbers",
        ),
        (lambda: denoiser(no_network, OUVE(), "noise"), "prediction 'noise' on OUVE needs the noisy sound and got none: pass noisy"),
        (lambda: denoiser(no_network, VP(), "residual"), "prediction 'residual' on VP needs the noisy sound and got none: pass noisy"),
        (
            lambda: Prediction("velocity", OUVE()).at(0.4).target(CLEAN, CLEAN),
            "prediction 'velocity' on OUVE needs the noisy sound and got none: pass noisy",
        ),
        (
            lambda: Prediction("noise", VP()).at([0.0, 0.5]).target(CLEAN[:2], CLEAN[:2]),
            "prediction 'noise' on VP has no target where sigma is 0, as the estimate does not heed the network: draw other times",
        ),
        (
            lambda: denoiser(no_network, VP(), "noise")(CLEAN, torch.tensor([0.5, 0.6])),
            "prediction: got 2 times for a batch of 6, expected one, or one an item",
        ),
        (lambda: Prediction("noise", VP()).at(1.5), "prediction 'noise' on VP: got the time 1.5, expected 0 to 1"),
        (lambda: Prediction("noise", VP()).at("0.5"), "prediction 'noise' on VP: got the time '0', expected 0 to 1"),
        (lambda: Prediction("noise", VP()).at([]), "prediction 'noise' on VP: got no time, expected one, or one an item"),
        (lambda: Prediction(3, VP()), "unknown prediction 3: known: data, edm, flow, noise, residual, score, sgmse, velocity"),
        (
            lambda: Prediction("noise", VP),
            "prediction 'noise': the process is the class VP, expected an instance of a class like those in PROCESSES, such as OUVE()",
        ),
        (
            lambda: denoiser(lambda x, told: x[:1], VP(), "noise")(CLEAN, 0.5),
            "prediction 'noise' on VP: the network's output has the shape (1,), expected (6,) as the state",
        ),
        (
            lambda: denoiser(lambda x, told: x.real, VP(), "data")(CLEAN, 0.5),
            "prediction 'data' on VP: the network's output is torch.float64 on cpu, expected torch.complex128 on cpu as the state",
        ),
        (
            lambda: denoiser(lambda x, told: None, VP(), "data")(CLEAN, 0.5),
            "prediction 'data' on VP: the network's output is a NoneType, expected torch.complex128 on cpu as the state",
        ),
        (
            lambda: denoiser(lambda x, told: x, OUVE(), "noise", CLEAN[:1])(CLEAN, 0.5),
            "prediction 'noise' on OUVE: the noisy sound has the shape (1,), expected (6,) as the state",
        ),
    ],
)
def test_wrong_use_is_told_in_one_clear_line(call, message: str):
    with pytest.raises(ConfigError) as caught:
        call()
    assert str(caught.value) == message


def test_a_kind_of_one_s_own_may_give_three_plain_numbers():
    torch.testing.assert_close(denoiser(lambda x, told: x, VP(), lambda t: (0, 0, 2))(CLEAN, 0.5), 2 * CLEAN)


def test_a_process_of_one_s_own_needs_a_path_and_a_slope():
    class Line:
        def at(self, time: float) -> Node:
            return Node(time, 1 - time, 0.0, time)

        def slope(self, time: float) -> Slope:
            return Slope(-1.0, 0.0, 2 * time)

    def network(x: Tensor, told: Tensor) -> Tensor:
        assert told == 0.5
        return x

    line: Any = Line()
    assert torch.equal(denoiser(network, line, "flow")(CLEAN[None], 0.5), denoiser(network, RectifiedFlow(), "flow")(CLEAN[None], 0.5))
