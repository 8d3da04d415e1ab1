"""What a network predicts, turned into the one thing that the library knows: the estimate of the clean sound.

With x the state, y the noisy sound and x = alpha x_0 + kappa y + sigma n at the time of the call; the coefficients are numbers, or tensors
that broadcast.
"""

from collections.abc import Callable

from torch import Tensor

from sgaudio.registry import Registry

Number = float | Tensor
Prediction = Callable[[Tensor, Tensor, Tensor, Number, Number, Number], Tensor]


def data(output: Tensor, state: Tensor, noisy: Tensor, alpha: Number, kappa: Number, sigma: Number) -> Tensor:
    """The clean sound itself: x_0."""
    return output


def noise(output: Tensor, state: Tensor, noisy: Tensor, alpha: Number, kappa: Number, sigma: Number) -> Tensor:
    """The noise n (Ho, Jain, Abbeel 2020, 2006.11239). Undefined where alpha is 0."""
    return (state - kappa * noisy - sigma * output) / alpha


def score(output: Tensor, state: Tensor, noisy: Tensor, alpha: Number, kappa: Number, sigma: Number) -> Tensor:
    """The score, -n / sigma (Song et al. 2021, 2011.13456). Undefined where alpha is 0."""
    return (state - kappa * noisy + sigma**2 * output) / alpha


PREDICTIONS: Registry[Prediction] = Registry("prediction", {"data": data, "noise": noise, "score": score})
