import pytest
import torch

from sgaudio.errors import ConfigError, WalkError
from sgaudio.processes import OUVE, BridgeVE, Process
from sgaudio.solvers import SOLVERS, linear, no_noise, record, sample
from sgaudio.solvers.langevin import langevin

OURS, BRIDGE = OUVE(), BridgeVE()
GRID = linear(OURS, 4)


def denoise(x: torch.Tensor, time: float) -> torch.Tensor:
    """Sees each value by itself."""
    return 0.6 * x + 0.1 * x.conj() + 0.05 * time


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def noise_of(*shape: int):
    numbers = {"step": 1, "corrector": 2}
    return lambda step, purpose, repeat: random(*shape, seed=100 * step + 10 * repeat + numbers[purpose])


def test_an_item_s_result_does_not_depend_on_the_others():
    noisy, noise = random(3, 1, 5, 4) * torch.tensor([1.0, 0.01, 30.0])[:, None, None, None], noise_of(1, 1, 5, 4)
    together = langevin(OURS, GRID, denoise, noisy, noisy, noise)
    for index in range(3):
        alone = langevin(OURS, GRID, denoise, noisy[index : index + 1], noisy[index : index + 1], noise)
        torch.testing.assert_close(together[index : index + 1], alone, rtol=0, atol=1e-13)


def test_as_published_it_does():
    noisy, noise = random(2, 1, 5, 4), noise_of(1, 1, 5, 4)
    louder = noisy * torch.tensor([1.0, 2.0])[:, None, None, None]
    one, other = (langevin(OURS, GRID, denoise, both, both, noise, compat="sgmse") for both in (noisy, louder))
    assert (one[0] - other[0]).abs().max() > 1e-3


def test_frames_that_are_not_valid_have_no_part_in_the_norms():
    noisy, noise = random(2, 1, 5, 9), noise_of(1, 1, 5, 9)
    valid = (torch.arange(9) < torch.tensor([6, 9])[:, None])[:, None, None]
    got = langevin(OURS, GRID, denoise, noisy, noisy, noise, valid=valid)
    short = langevin(OURS, GRID, denoise, noisy[:1, ..., :6], noisy[:1, ..., :6], lambda *key: noise(*key)[..., :6])
    torch.testing.assert_close(got[:1, ..., :6], short, rtol=0, atol=1e-13)


@pytest.mark.parametrize("process", [OURS, BRIDGE], ids=["ouve", "bridge-ve"])
@pytest.mark.parametrize("compat", ["none", "sgmse", "sgmse-2022"])
def test_without_corrector_steps_it_is_reverse_diffusion(process: Process, compat: str):
    noisy, noise = random(2, 1, 5, 4), noise_of(2, 1, 5, 4)
    got = langevin(process, GRID, denoise, noisy, noisy, noise, corrector_steps=0, compat=compat)
    known = sample(record(SOLVERS["reverse-diffusion"], process, GRID, compat=compat), denoise, noisy, noisy, noise)
    torch.testing.assert_close(got, known, rtol=0, atol=1e-13)


def test_each_correction_is_one_call_and_a_bridge_s_start_has_none():
    noisy, times = random(2, 1, 5, 4), list[float]()

    def counted(x: torch.Tensor, time: float) -> torch.Tensor:
        times.append(time)
        return denoise(x, time)

    langevin(BRIDGE, linear(BRIDGE, 3), counted, noisy, noisy, noise_of(2, 1, 5, 4), corrector_steps=2)
    assert times == [1.0, 0.515, 0.515, 0.515, 0.03, 0.03, 0.03]


def test_a_step_is_twice_the_squared_ratio_of_the_norms():
    """e = 2 (snr |n| / |score|)^2; the walk does nothing else without a predictor, as published."""
    start, fresh = random(2, 3, seed=5), random(2, 3, seed=6)
    node = OURS.at(0.5)
    score = (node.alpha * denoise(start, 0.5) - start) / node.sigma**2
    step = 2 * (0.3 * fresh.norm(dim=1, keepdim=True) / score.norm(dim=1, keepdim=True)) ** 2
    got = langevin(OURS, (0.5, 0.1), denoise, start, 0 * start, lambda *key: fresh, predictor="none", snr=0.3, compat="sgmse-2022")
    together = 2 * (0.3 * fresh.norm(dim=1).mean() / score.norm(dim=1).mean()) ** 2
    torch.testing.assert_close(got, start + together * score + (2 * together) ** 0.5 * fresh)
    for index in range(2):
        item = slice(index, index + 1)
        got = langevin(
            OURS,
            (0.5, 0.1),
            denoise,
            start[item],
            0 * start[item],
            lambda *key, item=item: fresh[item],
            predictor="none",
            snr=0.3,
            compat="sgmse",
        )
        torch.testing.assert_close(got, start[item] + step[item] * score[item] + (2 * step[item]) ** 0.5 * fresh[item])


def test_a_state_that_the_network_believes_is_left_where_it_is():
    """Its score is zero, which has no direction."""
    noisy = torch.zeros(1, 1, 5, 4, dtype=torch.complex64)
    got = langevin(OURS, GRID, lambda x, time: x / OURS.at(time).alpha, noisy, noisy, no_noise(noisy))
    assert torch.equal(got, noisy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snr": 1.5}, "langevin: snr is 1.5, expected 0 to 0.99"),
        ({"corrector_steps": -1}, "langevin: corrector_steps is -1, expected 0 to 100"),
        ({"predictor": "ddim"}, "langevin: predictor is 'ddim', expected one of 'reverse-diffusion', 'none'"),
        ({"compat": "storm"}, "langevin: compat is 'storm', expected one of 'none', 'sgmse', 'sgmse-2022'"),
        ({"noise": random(1, 1, 5, 4)}, "langevin: noise is a Tensor, expected a function of (step, purpose, repeat)"),
        ({"valid": torch.ones(3)}, "langevin: valid is (3,), expected a tensor that broadcasts to (1, 1, 5, 4)"),
        ({"valid": [1, 0]}, "langevin: valid is a list, expected a tensor that broadcasts to (1, 1, 5, 4)"),
        ({"noise": None}, "langevin: draws noise and got none: pass noise(step, purpose, repeat)"),
        ({"noisy": None}, "langevin: the process pulls to the noisy sound and got none: pass noisy"),
    ],
)
def test_a_wrong_walk_is_refused_in_one_clear_line(options: dict, message: str):
    noisy = random(1, 1, 5, 4)
    with pytest.raises(ConfigError) as caught:
        langevin(
            OURS,
            GRID,
            lambda x, time: pytest.fail("the network was called"),
            noisy,
            **{"noisy": noisy, "noise": noise_of(1, 1, 5, 4)} | options,
        )
    assert str(caught.value) == message


def test_a_walk_that_is_not_finite_says_since_when():
    noisy = random(1, 1, 5, 4)
    network = lambda x, time: x * (float("nan") if time < 0.5 else 1)  # noqa: E731
    with pytest.raises(WalkError, match=rf"^langevin: the network's estimate is not finite in step 2, at time {GRID[2]:g}$"):
        langevin(OURS, GRID, network, noisy, noisy, noise_of(1, 1, 5, 4))
    with pytest.raises(WalkError, match=r"^langevin: the result is not finite, though every estimate is"):
        langevin(OURS, (1.0, 0.5), lambda x, time: 0 * noisy, noisy, noisy, lambda *key: noisy * float("nan"), corrector_steps=0)
