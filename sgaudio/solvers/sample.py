"""The one interpreter: it runs any plan on tensors."""

from collections.abc import Callable

from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.solvers.plan import NOISY, START, Call, Draw, Plan


def sample(
    plan: Plan,
    denoise: Callable[[Tensor, float], Tensor],
    start: Tensor,
    noisy: Tensor,
    noise: Callable[[int, str], Tensor] | None = None,
) -> Tensor:
    """Walk from `start` to the end of the plan's grid.

    Nothing waits for the device between the first call and the last. Gradients flow through, unless the caller switches them off.

    Args:
        plan: what `record` made of a solver, a process and a grid.
        denoise: (state, time) -> clean estimate of the state's shape; the noisy sound is the caller's to add.
        start: the state at the grid's first time, any shape, real or complex: noisy + sigma(1) n, which is the noisy sound on a bridge.
        noisy: the noisy sound, of the state's shape.
        noise: (step, purpose) -> standard normal noise that broadcasts to the state's shape, E|n|^2 = 1; needed if the plan draws any.

    Returns:
        The state at the grid's end, of the shape of `start`; at time 0 it is the clean estimate.

    Raises:
        ConfigError: if the plan draws noise and none is given.
    """
    if noise is None and plan.draws:
        raise ConfigError(f"sample: this plan draws noise {len(plan.draws)} times and got none: pass noise(step, purpose)")
    registers = {START: start, NOISY: noisy}
    for row, freed in zip(plan.rows, plan.frees, strict=True):
        if isinstance(row, Call):
            registers[row.into] = denoise(registers[row.state], row.time)
        elif isinstance(row, Draw):
            assert noise is not None
            registers[row.into] = noise(row.step, row.purpose)
        else:
            (first, coefficient), *others = row.terms
            total = registers[first] * coefficient
            for register, coefficient in others:
                total.add_(registers[register], alpha=coefficient)
            registers[row.into] = total
        for register in freed:
            del registers[register]
    return registers[plan.result]
