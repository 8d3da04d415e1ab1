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

import torch
from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.registry import Registry

PURPOSES = Registry[int]("purpose", {"start": 0, "step": 1})  # a number never changes its meaning

MASK = 0xFFFFFFFF


def keyed_normal(seed: int, frames: Tensor, bins: int, step: int, purpose: str | int, complex: bool = True) -> Tensor:
    """Standard normal noise by key.

    Args:
        seed: 64 bits, signed or unsigned.
        frames: absolute frame indices, int64, of shape (..., frame).
        bins: number of frequency bins, from bin 0.
        step: the step of the walk that it is for, 0 or more.
        purpose: a name of `PURPOSES`, or word 3 as it is.
        complex: complex noise with E|n|^2 = 1, or real noise.

    Returns:
        (..., bins, frame), complex64 or float32, on the device of `frames`.

    Raises:
        ConfigError: on a seed of more than 64 bits, or an unknown purpose.
    """
    if not -(2**63) <= seed < 2**64:
        raise ConfigError(f"noise: seed is {seed}, expected a number of 64 bits")
    word = PURPOSES[purpose] if isinstance(purpose, str) else purpose
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


def _box_muller(radius: Tensor, turn: Tensor, complex: bool) -> tuple[Tensor, Tensor]:
    """Two normals from two words, of variance 1/2 where they are the parts of one complex number."""
    # Both uniforms have 24 bits; the first is odd in the last, so that it is never 0.
    uniform = ((radius >> 9 << 1) + 1).double() * 2.0**-24
    length = (uniform.log_() * (-1.0 if complex else -2.0)).sqrt_()
    angle = (turn >> 8).double() * (2.0**-24 * 2 * math.pi)
    return (length * angle.cos()).float(), (length * angle.sin()).float()
