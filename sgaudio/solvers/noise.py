"""Keyed noise: a value depends on the seed, the absolute frame, the bin, the step and the purpose, and on nothing else.

So the same seed gives the same sound for any batch, window, block size or device. The generator is Philox 4x32-10 (Salmon,
Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), a bijection of four 32-bit words under a key of two:

    key      the 64-bit seed, low word first
    word 0   absolute frame, mod 2^32 (negative frames are frames too)
    word 1   group of bins: two complex bins or four real ones; the channel is not in the key, for channels share the draw
    word 2   step
    word 3   purpose, and the number of its repetition from bit 8 up

The four words it gives make four normals by Box-Muller, in float64, which are then rounded to float32: equal bits on one device, and to a
last digit between devices.
"""

import math
from collections.abc import Callable, Sequence
from numbers import Integral

import torch
from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.processes.states import check_state
from sgaudio.registry import Registry

# A number never changes its meaning.
PURPOSES = Registry[int]("purpose", {"start": 0, "step": 1, "corrector": 2, "second": 3, "restart": 4, "churn": 5, "path": 6, "vocoder": 7})

MASK = 0xFFFFFFFF


def keyed_noise(seed: int, like: Tensor, first_frame: int | Tensor = 0) -> Callable[[int, str, int], Tensor]:
    """The source of noise that `sample` asks, (step, purpose, repeat) -> noise, for states such as `like`.

    Args:
        seed: 64 bits, signed or unsigned.
        like: a state (batch, channel, bins, frame), real or complex: for sizes, dtype and device. Batch and channels share the draw.
        first_frame: absolute index of the state's first frame; or one for each item, int64 (batch), where they are windows of one sound.

    Raises:
        ConfigError: on another shape, and as `keyed_normal`.
    """
    check_state("noise: the state", like)
    if like.ndim != 4:
        raise ConfigError(f"noise: the state has the shape {tuple(like.shape)}, expected (batch, channel, bins, frame)")
    if not isinstance(first_frame, Integral | Tensor):
        raise ConfigError(f"noise: first_frame is {first_frame!r}, expected an integer, or a tensor of them: one for each item")
    first = first_frame.to(like.device).reshape(-1, 1, 1) if isinstance(first_frame, Tensor) else first_frame
    frames = first + torch.arange(like.shape[-1], device=like.device)
    _check_key(seed, frames)

    def noise(step: int, purpose: str, repeat: int = 0) -> Tensor:
        return keyed_normal(seed, frames, like.shape[-2], step, purpose, repeat, like.is_complex()).to(like.dtype)

    return noise


def no_noise(like: Tensor) -> Callable[[int, str, int], Tensor]:
    """A source of zeros: a stochastic walk then follows the path about which it scatters, its mean where the network is affine."""
    check_state("noise: the state", like)
    zero = like.new_zeros(())
    return lambda step, purpose, repeat=0: zero


def replayed_noise(keys: Sequence[tuple[int, str, int]], draws: Sequence[Tensor]) -> Callable[[int, str, int], Tensor]:
    """A source of given noises, to repeat a run that drew them: the n-th of `draws` is that of the n-th key.

    Args:
        keys: (step, purpose, repeat), for instance the `draws` of a plan, after that of the start where it is drawn too.
        draws: as many or more (published walks draw a last noise that they do not use), on the device of the states.

    Raises:
        ConfigError: on fewer draws than keys.
    """
    if len(draws) < len(keys):
        raise ConfigError(f"noise: got {len(draws)} draws to replay, expected {len(keys)}: one for each noise of the walk, in its order")
    known = dict(zip(keys, draws, strict=False))
    return lambda step, purpose, repeat=0: known[step, purpose, repeat]


def keyed_normal(seed: int, frames: Tensor, bins: int, step: int, purpose: str | int, repeat: int = 0, complex: bool = True) -> Tensor:
    """Standard normal noise by key.

    Args:
        seed: 64 bits, signed or unsigned.
        frames: absolute frame indices, int64, of shape (..., frame).
        bins: number of frequency bins, from bin 0.
        step: the step of the walk that it is for, 0 or more.
        purpose: a name of `PURPOSES`, or its number.
        repeat: number of the repetition of this purpose in this step.
        complex: complex noise with E|n|^2 = 1, or real noise.

    Returns:
        (..., bins, frame), complex64 or float32, on the device of `frames`.

    Raises:
        ConfigError: on a seed of more than 64 bits, frames that are not int64, or an unknown purpose.
    """
    _check_key(seed, frames)
    word = (PURPOSES[purpose] if isinstance(purpose, str) else purpose) + (repeat << 8)
    device = frames.device
    if device.type == "mps":  # has no float64
        frames = frames.cpu()
    groups = torch.arange(-(-bins // (2 if complex else 4)), device=frames.device)[:, None]
    words = philox((frames[..., None, :] & MASK, groups, step, word), (seed & MASK, seed >> 32 & MASK))
    normals = [*_box_muller(words[0], words[1], complex), *_box_muller(words[2], words[3], complex)]
    parts = [torch.complex(normals[0], normals[1]), torch.complex(normals[2], normals[3])] if complex else normals
    return torch.stack(parts, dim=-2).flatten(-3, -2)[..., :bins, :].to(device)


def philox(counter: tuple[Tensor | int, ...], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Philox 4x32-10: four words from a counter of four words (int64 tensors that broadcast, or ints) and a key of two."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        # Products of 32 by 32 bits wrap to 64, of which the sign is one: the mask removes what the shift drags in.
        p, q = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (q >> 32 & MASK) ^ (c1 ^ k0), q & MASK, (p >> 32 & MASK) ^ (c3 ^ k1), p & MASK
        k0, k1 = k0 + 0x9E3779B9 & MASK, k1 + 0xBB67AE85 & MASK
    return c0, c1, c2, c3  # pyright: ignore[reportReturnType]


def _check_key(seed: int, frames: Tensor) -> None:
    if not isinstance(seed, Integral) or not -(2**63) <= seed < 2**64:
        raise ConfigError(f"noise: seed is {seed!r}, expected a number of 64 bits")
    if not isinstance(frames, Tensor) or frames.dtype != torch.int64 or frames.ndim == 0:
        found = f"{frames.dtype} of shape {tuple(frames.shape)}" if isinstance(frames, Tensor) else f"a {type(frames).__name__}"
        raise ConfigError(f"noise: the frames are {found}, expected int64, (..., frame)")


def _box_muller(radius: Tensor, turn: Tensor, complex: bool) -> tuple[Tensor, Tensor]:
    """Two normals from two words, of variance 1/2 where they are the parts of one complex number."""
    # Both uniforms have 24 bits; the first is odd in the last, so that it is never 0.
    uniform = ((radius >> 9 << 1) + 1).double() * 2.0**-24
    length = (uniform.log_() * (-1.0 if complex else -2.0)).sqrt_()
    angle = (turn >> 8).double() * (2.0**-24 * 2 * math.pi)
    return (length * angle.cos()).float(), (length * angle.sin()).float()
