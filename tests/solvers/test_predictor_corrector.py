import math

import pytest

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, BridgeVE, Process
from sgaudio.solvers import SOLVERS, linear, record
from sgaudio.solvers.plan import Call

OURS, BRIDGE = OUVE(), BridgeVE()
SOLVER = SOLVERS["predictor-corrector"]


def settled_variance(corrector: str, snr: float, noise: float) -> float:
    """What a corrector's variance tends to, relative to the right one, where `noise` is the share of noise in that."""
    part = 2 * snr**2
    return 1 / (1 - snr**2 * noise) if corrector == "annealed" else (2 - part) / (2 - part * noise)


@pytest.mark.parametrize("corrector", ["annealed", "renoise"])
@pytest.mark.parametrize("snr", [0.1, 0.33, 0.5, 0.8])
@pytest.mark.parametrize("variance", [1e-300, 0.0025, 0.25])
def test_a_corrector_keeps_the_right_mean_and_its_known_variance(proof, process: Process, corrector: str, snr: float, variance: float):
    time = 0.7
    mean, deviation = proof.moments(process, time, variance)
    known = deviation**2 * settled_variance(corrector, snr, (process.at(time).sigma / deviation) ** 2)
    plan = record(SOLVER, process, (time, 0.1), predictor="none", corrector=corrector, snr=snr, compat="sgmse")
    step = proof.end(plan, process, time, variance)  # one recorded step, which these two numbers go through unchanged
    assert abs(step.gain) < 1
    assert step.offset + step.gain * mean == pytest.approx(mean, abs=1e-14)
    assert step.noise_variance + step.gain**2 * known == pytest.approx(known, rel=1e-13)


@pytest.mark.parametrize(("corrector", "all_noise", "all_data"), [("annealed", 4 / 3, 1), ("renoise", 1, 3 / 4)])
def test_each_corrector_is_exact_at_one_end_and_off_by_a_known_part_at_the_other(corrector: str, all_noise: float, all_data: float):
    assert settled_variance(corrector, 0.5, 1.0) == pytest.approx(all_noise)
    assert settled_variance(corrector, 0.5, 0.0) == pytest.approx(all_data)


@pytest.mark.parametrize("corrector", ["annealed", "renoise"])
@pytest.mark.parametrize("variance", [0.0025, 0.04])
def test_however_small_its_steps_the_bias_of_its_corrector_stays(proof, corrector: str, variance: float):
    """Hence it has no order."""
    assert SOLVER.order is None
    mean, deviation = proof.moments(OURS, 0.3, variance)
    known = deviation * math.sqrt(settled_variance(corrector, 0.5, (OURS.at(0.3).sigma / deviation) ** 2))
    times = proof.grid("linear", OURS, 200, first=0.4, last=0.3)
    end = proof.end(record(SOLVER, OURS, times, corrector=corrector), OURS, 0.4, variance)
    start_mean, start_deviation = proof.moments(OURS, 0.4, variance)
    assert end.offset + end.gain * start_mean == pytest.approx(mean, abs=1e-6)
    got = math.hypot(end.gain * start_deviation, math.sqrt(end.noise_variance))
    assert got - deviation == pytest.approx(known - deviation, rel=0.02)


@pytest.mark.parametrize(
    ("corrector", "figures"),
    [
        ("annealed", [(0.3007, 0.0479), (0.3021, 0.1995), (0.3036, 0.4964)]),
        ("none", [(0.3013, 0.0478), (0.3049, 0.1964), (0.3165, 0.4858)]),
    ],
)
def test_what_sgmse_s_sampler_makes_of_gaussian_data_is_known(proof, corrector: str, figures: list):
    """Of N(0.3, v), v = 0.0025, 0.04, 0.25, in 30 steps from its own start, which is centred on the noisy sound."""
    plan = record(SOLVER, OURS, linear(OURS, 30), corrector=corrector, compat="sgmse")
    for variance, known in zip(proof.VARIANCES, figures, strict=True):
        end = proof.end(plan, OURS, 1.0, variance)
        got = end.offset + end.gain * proof.NOISY, math.hypot(end.gain * OURS.at(1.0).sigma, math.sqrt(end.noise_variance))
        assert got == pytest.approx(known, abs=6e-5)


def test_it_corrects_before_it_predicts():
    plan = record(SOLVER, OURS, linear(OURS, 2), corrector_steps=2)
    assert plan.draws == (
        *((0, "corrector", 0), (0, "corrector", 1), (0, "step", 0)),
        *((1, "corrector", 0), (1, "corrector", 1)),
    )
    assert [row.time for row in plan.rows if isinstance(row, Call)] == [1.0] * 3 + [0.03] * 3
    assert isinstance(plan.rows[-1], Call)


@pytest.mark.parametrize("compat", ["none", "sgmse", "sgmse-2022"])
def test_without_a_corrector_it_is_reverse_diffusion(process: Process, compat: str):
    grid = linear(process, 4)
    known = record(SOLVERS["reverse-diffusion"], process, grid, compat=compat)
    assert record(SOLVER, process, grid, corrector="none", compat=compat) == known
    assert record(SOLVER, process, grid, corrector_steps=0, compat=compat) == known


def test_without_a_predictor_it_corrects_at_each_time_and_ends_in_a_clean_estimate(process: Process):
    plan = record(SOLVER, process, linear(process, 4), predictor="none")
    noisy = [time for time in linear(process, 4)[:-1] if process.at(time).sigma]
    assert [row.time for row in plan.rows if isinstance(row, Call)] == [*noisy, noisy[-1]]
    assert plan.rows[-1].into == plan.result


def test_a_bridge_s_start_has_nothing_to_correct():
    plan = record(SOLVER, BRIDGE, linear(BRIDGE, 3))
    assert [row.time for row in plan.rows if isinstance(row, Call)] == [1.0, 0.515, 0.515, 0.03, 0.03]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snr": 1.0}, "solver 'predictor-corrector': snr is 1.0, expected 0 to 0.99"),
        ({"corrector_steps": -1}, "solver 'predictor-corrector': corrector_steps is -1, expected 0 to 100"),
        ({"corrector": "ald"}, "solver 'predictor-corrector': corrector is 'ald', expected one of 'annealed', 'renoise', 'none'"),
        ({"predictor": "ddim"}, "solver 'predictor-corrector': predictor is 'ddim', expected one of 'reverse-diffusion', 'none'"),
        ({"compat": "storm"}, "solver 'predictor-corrector': compat is 'storm', expected one of 'none', 'sgmse', 'sgmse-2022'"),
    ],
)
def test_a_wrong_option_is_refused_in_one_clear_line(options: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        record(SOLVER, OURS, linear(OURS, 2), **options)
    assert str(caught.value) == message
