import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, BridgeVE, Process, ResShift
from sgaudio.solvers import PURPOSES, SOLVERS, keyed_noise, keyed_normal, linear, no_noise, record, replayed_noise, sample
from sgaudio.solvers.noise import philox


def words(text: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in text.split())


# The first three are Random123's own (tests/kat_vectors); two independent implementations agree on the others.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ("00000001 00000000 00000000 00000000", "00000000 00000000", "f8e4cca4 5cb200db b1a574eb 097eff67"),
    ("00000000 00000000 00000000 00000000", "00000001 00000000", "e3e80670 e50a0ebc 95f222c0 b615aa27"),
    ("000003e8 00000003 00050001 00000000", "0000002a 00000000", "ba18e7be cda80ea5 b9219148 87577d4c"),
    ("000003e9 00000003 00050001 00000000", "0000002a 00000000", "4a4d2e35 0fe4badc e628d6f7 ef63f744"),
    ("12345678 00000009 001e0002 00000007", "deadbeef 00000001", "b3dce73b 30fb0534 9d32ac6d 682b6717"),
    ("00000005 00000006 00000007 00000008", "00000001 00000002", "4dca486a 5881d505 d9261beb 2ad94a6b"),
    ("9e3779b9 00000008 85ebca6b fffffffe", "c2b2ae38 27d4eb2e", "53a928f0 d996ea96 30414cb8 1863cc49"),
    ("00000000 00000001 00000000 ffffffff", "00000003 27d4eb2f", "9bb4614c b79e6062 07aefafb ea41d47d"),
    ("000003e8 00000003 00000005 00000001", "0000002a 00000000", "9cf8531c 591d59ee cf06c7fa c0f32e75"),
]


@pytest.mark.parametrize(("counter", "key", "output"), KNOWN)
def test_the_generator_is_philox_4x32_10(counter: str, key: str, output: str):
    k0, k1 = words(key)
    tensors = tuple(torch.tensor([word, word]) for word in words(counter))
    assert tuple(word.tolist() for word in philox(tensors, (k0, k1))) == tuple([word] * 2 for word in words(output))
    assert philox(words(counter), (k0, k1)) == words(output)


@pytest.mark.parametrize(
    ("seed", "frame", "group", "step", "purpose", "normals"),
    [
        (0, 0, 0, 0, 0, (0.991137475, -0.924662780, -0.617609055, -0.482068347)),
        (0, 1, 0, 0, 0, (-0.153638112, 0.180825877, 0.831735127, 0.197439592)),
        (1, 0, 0, 0, 0, (0.380400591, -0.296277946, -0.249233476, -1.003837214)),
        (42, 1000, 3, 0x00050001, 0, (0.262701944, -0.754190651, -0.792089205, -0.144294599)),
        (42, 1001, 3, 0x00050001, 0, (1.454762063, 0.598130414, 0.423508959, -0.182892566)),
        (0x1DEADBEEF, 0x12345678, 9, 0x001E0002, 7, (0.302764317, 0.783772206, -0.823430951, 0.545256499)),
        (42, 1000, 3, 5, "step", (-0.571783474, 0.807037130, 0.015191804, -0.651483492)),
        (2**64 - 1, -1, 0, 2**32 - 1, 2**32 - 1, None),
    ],
)
def test_the_layout_of_keys_and_normals_never_changes(seed, frame, group, step, purpose, normals):
    real = keyed_normal(seed, torch.tensor([frame]), 4 * group + 4, step, purpose, complex=False)[-4:, 0]
    pair = keyed_normal(seed, torch.tensor([frame]), 2 * group + 2, step, purpose)[-2:, 0]
    if normals is not None:
        assert real.tolist() == pytest.approx(normals, rel=6.5e-8, abs=6e-10)  # float32, and the digits printed
    torch.testing.assert_close(torch.view_as_real(pair).flatten() * math.sqrt(2), real, rtol=2e-7, atol=0)


def test_a_repetition_is_counted_from_bit_8_up():
    frames = torch.arange(3)
    assert torch.equal(keyed_normal(1, frames, 4, 5, "corrector", 3), keyed_normal(1, frames, 4, 5, PURPOSES["corrector"] + 3 * 256))


windows = st.tuples(st.integers(-300, 300), st.integers(1, 60), st.integers(1, 60))


@given(windows, st.integers(1, 40), st.booleans(), st.integers(0, 2**64 - 1))
def test_any_split_into_windows_and_batches_gives_the_same_bits(window, bins: int, complex: bool, seed: int):
    begin, first, second = window
    frames = torch.arange(begin, begin + first + second)
    whole = keyed_normal(seed, frames, bins, 3, "step", complex=complex)
    parts = [keyed_normal(seed, part, bins, 3, "step", complex=complex) for part in frames.split([first, second])]
    assert torch.equal(whole, torch.cat(parts, dim=-1))
    batch = torch.stack([frames, frames + 17])[:, None]
    assert torch.equal(keyed_normal(seed, batch, bins, 3, "step", complex=complex)[0, 0], whole)
    assert torch.equal(keyed_normal(seed, frames, bins + 5, 3, "step", complex=complex)[:bins], whole)


def test_overlapping_windows_see_the_same_noise_where_they_overlap():
    one, other = (keyed_normal(7, torch.arange(begin, begin + 500), 257, 0, "start") for begin in (0, 375))
    assert torch.equal(one[:, 375:], other[:, :125])


@pytest.mark.parametrize("complex", [True, False])
def test_it_has_the_moments_of_standard_normal_noise(complex: bool):
    noise = keyed_normal(1, torch.arange(2000), 64, 2, "step", complex=complex)
    assert noise.shape == (64, 2000)
    assert noise.dtype == (torch.complex64 if complex else torch.float32)
    assert float(noise.abs().square().mean()) == pytest.approx(1, abs=0.02)
    parts = torch.view_as_real(noise).flatten() * math.sqrt(2) if complex else noise.flatten()
    parts = parts.double()
    error = 5 / math.sqrt(len(parts))
    assert [float(parts.pow(power).mean()) for power in (1, 2, 3)] == pytest.approx([0, 1, 0], abs=4 * error)
    assert float(parts.pow(4).mean()) == pytest.approx(3, abs=10 * error)
    distances = torch.special.ndtr(parts.sort().values) - torch.linspace(0, 1, len(parts), dtype=torch.float64)
    assert float(distances.abs().max()) < 1.95 / math.sqrt(len(parts))  # Kolmogorov-Smirnov at 0.1 %


def test_real_and_imaginary_parts_frames_bins_steps_purposes_and_seeds_are_uncorrelated():
    frames = torch.arange(2000)
    noise = keyed_normal(1, frames, 64, 2, "step")
    limit = 5 / math.sqrt(noise.numel())
    others = [
        keyed_normal(1, frames, 64, 3, "step"),
        keyed_normal(1, frames, 64, 2, "start"),
        keyed_normal(2, frames, 64, 2, "step"),
        keyed_normal(1 + 2**32, frames, 64, 2, "step"),
        keyed_normal(1, frames + 1, 64, 2, "step"),
        noise.roll(1, 0),
        noise.conj(),
    ]
    for other in others:
        assert float((noise * other.conj()).mean().abs()) < limit


def test_negative_frames_and_seeds_are_as_good_as_any():
    assert torch.equal(keyed_normal(-1, torch.tensor([-3]), 8, 0, "step"), keyed_normal(2**64 - 1, torch.tensor([2**32 - 3]), 8, 0, "step"))


def test_a_wrong_key_is_refused_in_one_clear_line():
    with pytest.raises(ConfigError, match=r"^unknown purpose 'steps': did you mean 'step'\?$"):
        keyed_normal(0, torch.arange(2), 4, 0, "steps")
    with pytest.raises(ConfigError, match=r"^noise: seed is 18446744073709551616, expected a number of 64 bits$"):
        keyed_normal(2**64, torch.arange(2), 4, 0, "step")
    for frames, found in (
        (torch.arange(2.0), r"torch.float32 of shape \(2,\)"),
        (torch.arange(2, dtype=torch.int32), r"torch.int32 of shape \(2,\)"),
        (torch.tensor(2), r"torch.int64 of shape \(\)"),
        ([0, 1], "a list"),
    ):
        with pytest.raises(ConfigError, match=rf"^noise: the frames are {found}, expected int64, \(..., frame\)$"):
            keyed_normal(0, frames, 4, 0, "step")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
def test_a_source_gives_the_keyed_normals_of_its_frames_in_the_state_s_dtype(dtype: torch.dtype):
    like = torch.zeros(2, 3, 5, 7, dtype=dtype)
    noise = keyed_noise(42, like, first_frame=1000)(3, "corrector", 1)
    expected = keyed_normal(42, torch.arange(1000, 1007), 5, 3, "corrector", 1, complex=dtype.is_complex)
    assert noise.dtype == dtype
    assert torch.equal(noise, expected.to(dtype))
    assert torch.equal(noise.expand_as(like)[1, 2], noise)


def test_each_window_of_a_sound_has_the_noise_of_its_own_frames():
    whole, windows = torch.zeros(1, 1, 5, 30), torch.zeros(3, 1, 5, 10)
    frames = torch.tensor([0, 7, 20])
    noise = keyed_noise(1, windows, frames)(2, "step")
    for part, first in zip(noise, frames.tolist(), strict=True):
        assert torch.equal(part, keyed_noise(1, whole)(2, "step")[None, :, first : first + 10])


def test_the_same_seed_gives_the_same_sound_for_any_batch_and_window():
    plan, process = record(SOLVERS["ddpm"], OUVE(), linear(OUVE(), 4)), OUVE()
    sound = keyed_normal(9, torch.arange(40), 6, 0, "start")[None, None]

    def enhanced(noisy: torch.Tensor, first_frame: int | torch.Tensor) -> torch.Tensor:
        noise = keyed_noise(5, noisy, first_frame)
        return sample(plan, lambda x, time: 0.5 * x + 0.1 * noisy, noisy + process.at(1.0).sigma * noise(0, "start"), noisy, noise)

    whole = enhanced(sound, 0)
    windows = enhanced(torch.cat([sound[..., :24], sound[..., 16:]]), torch.tensor([0, 16]))
    assert torch.equal(windows[:1], whole[..., :24])
    assert torch.equal(windows[1:], whole[..., 16:])


def test_replayed_draws_repeat_the_run_that_drew_them():
    process, noisy = OUVE(), keyed_normal(9, torch.arange(10), 6, 0, "start")[None, None]
    plan, drawn = record(SOLVERS["predictor-corrector"], process, linear(process, 4)), []

    def kept(step: int, purpose: str, repeat: int = 0) -> torch.Tensor:
        drawn.append(keyed_noise(5, noisy)(step, purpose, repeat))
        return drawn[-1]

    def end(noise: Callable[[int, str, int], torch.Tensor]) -> torch.Tensor:
        return sample(plan, lambda x, time: 0.5 * x + 0.1 * noisy, noisy, noisy, noise)

    expected = end(kept)
    assert len(plan.draws) == len(drawn) == 7
    assert torch.equal(end(replayed_noise(plan.draws, drawn)), expected)
    assert not torch.equal(end(replayed_noise(plan.draws, drawn[::-1])), expected)


def test_the_nth_draw_is_that_of_the_nth_key_and_more_are_not_used():
    keys = [(0, "start", 0), (0, "corrector", 0), (0, "corrector", 1), (3, "step", 0)]
    draws = torch.arange(5.0).unbind()
    noise = replayed_noise(keys, draws)
    assert [noise(*key).item() for key in reversed(keys)] == [3, 2, 1, 0]
    assert noise(3, "step").item() == 3  # the first repetition, if not said otherwise


def test_too_few_draws_are_refused_before_the_walk():
    with pytest.raises(ConfigError, match=r"^noise: got 1 draws to replay, expected 2: one for each noise of the walk, in its order$"):
        replayed_noise([(0, "start", 0), (0, "step", 0)], [torch.zeros(1)])


def test_without_noise_a_walk_follows_its_mean_path(proof):
    plan, process = record(SOLVERS["ddpm"], OUVE(), proof.grid("linear", OUVE(), 6)), OUVE()

    def denoise(x: torch.Tensor, time: float) -> torch.Tensor:
        node = process.at(time)
        gain = node.alpha * 0.04 / (node.alpha**2 * 0.04 + node.sigma**2)
        return proof.MEAN + gain * (x - node.kappa * proof.NOISY - node.alpha * proof.MEAN)

    start = torch.tensor([[[[-1.0, 0.2, 3.0]]]], dtype=torch.float64)
    end = proof.end(plan, process, 1.0, variance=0.04)
    got = sample(plan, denoise, start, torch.full_like(start, proof.NOISY), no_noise(start))
    torch.testing.assert_close(got, end.offset + end.gain * start, rtol=0, atol=1e-14)


def test_a_source_for_what_is_no_state_is_refused_in_one_clear_line():
    with pytest.raises(ConfigError, match=r"^noise: the state has the shape \(5, 7\), expected \(batch, channel, bins, frame\)$"):
        keyed_noise(0, torch.zeros(5, 7))
    like = torch.zeros(1, 1, 4, 3)
    for source in (lambda: keyed_noise(0, like.long()), lambda: no_noise(like.long())):
        with pytest.raises(
            ConfigError, match=r"^noise: the state is torch.int64 on cpu, expected a tensor of floating point or complex numbers$"
        ):
            source()


def test_a_source_with_a_wrong_key_is_refused_before_it_is_asked():
    like = torch.zeros(1, 1, 4, 3)
    for seed in (2**64, 1.5, "1", None):
        with pytest.raises(ConfigError, match=r"^noise: seed is .*, expected a number of 64 bits$"):
            keyed_noise(seed, like)
    with pytest.raises(ConfigError, match=r"^noise: first_frame is 0.5, expected an integer, or a tensor of them: one for each item$"):
        keyed_noise(0, like, 0.5)
    with pytest.raises(ConfigError, match=r"^noise: the frames are torch.float32 of shape"):
        keyed_noise(0, like, torch.tensor([0.5]))


def test_each_purpose_has_a_number_of_its_own():
    assert sorted(PURPOSES.values()) == list(range(len(PURPOSES)))


@pytest.mark.parametrize("name", SOLVERS)
def test_every_noise_of_a_solver_has_a_purpose(name: str, process: Process):
    options = {"edm": {"churn": 10.0}, "restart": {"repeats": 2}, "ddim": {"eta": 0.5}, "adams": {"noise_level": 1.0}}.get(name, {})
    process = ResShift() if name == "resshift" else BridgeVE() if name.startswith("bridge") else process
    plan = record(SOLVERS[name], process, linear(process, 6), start="drawn", **options)
    assert {purpose for _, purpose, _ in plan.draws} <= set(PURPOSES)
