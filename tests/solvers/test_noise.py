import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.solvers import PURPOSES, keyed_normal
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


windows = st.tuples(st.integers(-300, 300), st.integers(1, 60), st.integers(1, 60))


@given(windows, st.integers(1, 40), st.booleans(), st.integers(0, 2**64 - 1))
def test_any_split_into_windows_and_batches_gives_the_same_bits(window, bins: int, complex: bool, seed: int):
    begin, first, second = window
    frames = torch.arange(begin, begin + first + second)
    whole = keyed_normal(seed, frames, bins, 3, "step", complex)
    parts = [keyed_normal(seed, part, bins, 3, "step", complex) for part in frames.split([first, second])]
    assert torch.equal(whole, torch.cat(parts, dim=-1))
    batch = torch.stack([frames, frames + 17])[:, None]
    assert torch.equal(keyed_normal(seed, batch, bins, 3, "step", complex)[0, 0], whole)
    assert torch.equal(keyed_normal(seed, frames, bins + 5, 3, "step", complex)[:bins], whole)


def test_overlapping_windows_see_the_same_noise_where_they_overlap():
    one, other = (keyed_normal(7, torch.arange(begin, begin + 500), 257, 0, "start") for begin in (0, 375))
    assert torch.equal(one[:, 375:], other[:, :125])


@pytest.mark.parametrize("complex", [True, False])
def test_it_has_the_moments_of_standard_normal_noise(complex: bool):
    noise = keyed_normal(1, torch.arange(2000), 64, 2, "step", complex)
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


def test_every_noise_of_a_solver_has_a_purpose():
    assert sorted(PURPOSES.values()) == list(range(len(PURPOSES)))
