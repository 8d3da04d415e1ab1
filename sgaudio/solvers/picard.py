"""Picard iteration: all calls of a plan at once, again and again, until the answers stay as they are.

Shih, Belkhale, Ermon, Sadigh, Anari 2023, "Parallel sampling of diffusion models" (ParaDiGMS), 2305.16317, for any plan. In a sweep the
plan is run with the answers of the last sweep in place of the network, which gives the states of all calls; then the network is asked for
all of them together. Each sweep makes final the first answer that was not, so that as many sweeps as there are calls give what `sample`
gives; fewer come near it. It is more work, and less waiting where a device has room for a larger batch.
"""

from collections.abc import Sequence
from functools import cache
from typing import Annotated

import torch
from torch import Tensor

from sgaudio.errors import WalkError
from sgaudio.processes.states import version
from sgaudio.registry import Range, bind
from sgaudio.solvers.adaptive import DenoiseItems
from sgaudio.solvers.plan import Call, Plan
from sgaudio.solvers.sample import Interpreter, Noise, check_function, check_items, check_start, matched_estimate


@torch.no_grad()
def picard(
    plan: Plan,
    denoise: DenoiseItems,
    start: Tensor,
    noisy: Tensor | None = None,
    noise: Noise | None = None,
    *,
    tolerance: Annotated[float, Range(0, 1)],
    window: Annotated[int, Range(1, 1_000_000)] | None = None,
) -> tuple[Tensor, tuple[int, ...]]:
    """Walk by sweeps over all calls of a plan. The host waits for the device once a sweep.

    An answer is final if all before it are and it changed by no more than the tolerance, or if its state is exact, as that of the first one
    is that was not final. An item whose answers are all final is not asked for any more: none depends on its batch mates.

    Args:
        plan: what `record` made of a solver, a process and a grid.
        denoise: (states (k, ...), times (k), items (k)) -> clean estimates (k, ...), the states of the first call first; `items` says which
            of the batch they are, so that a network can be given noisy[items].
        start: the states at the grid's first time, (batch, ...), real or complex.
        noisy: the noisy sound, of their shape; needed if the process pulls to it.
        noise: as for `sample`; each noise is asked for once, and kept.
        tolerance: root mean square of an answer's change, relative to that of the item's first answer. 0 gives what `sample` gives.
        window: the most calls of an item that are asked for together; all of them if not given.

    Returns:
        The states at the grid's end, and the number of calls that each item had to wait for, at most that of the plan.

    Raises:
        ConfigError: as `sample`, on a start without items, and on an option out of its range.
        WalkError: if the result is not finite.
    """
    bind(picard, {"tolerance": tolerance, "window": window}, "picard", given=5)
    check_items("picard", start)
    check_function("picard: denoise", denoise, "states", "times", "items")
    check_start(plan, start, noisy, noise)
    calls = plan.calls
    kept_noise = noise and cache(noise)

    def ask(states: Tensor, times: list[float], items: list[int]) -> Tensor:
        told = torch.tensor(times, dtype=start.real.dtype, device=start.device)
        before = version(states)
        return matched_estimate("picard", denoise(states, told, torch.tensor(items, device=start.device)), states, before, times[0])

    walk = Interpreter(plan, start, noisy, kept_noise)
    walk.advance()
    first = ask(walk.state, [calls[0].time] * len(start), list(range(len(start))))
    answers, scales = [first.clone() for _ in calls], _sizes(first)
    final, waited = [1] * len(start), [1] * len(start)
    while min(final) < len(calls):
        states = _replayed(Interpreter(plan, start, noisy, kept_noise), answers)[0]
        ends = [min(count + (window or len(calls)), len(calls)) for count in final]
        asked = [(call, item) for call in range(len(calls)) for item in range(len(start)) if final[item] <= call < ends[item]]
        new = ask(torch.stack([states[call][item] for call, item in asked]), [calls[call].time for call, _ in asked], [i for _, i in asked])
        old = torch.stack([answers[call][item] for call, item in asked])
        changes = dict(zip(asked, _sizes(new - old), strict=True))
        for place, (call, item) in enumerate(asked):
            answers[call][item] = new[place]
        for item in {item for _, item in asked}:
            waited[item] += 1
            final[item] += 1
            while final[item] < ends[item] and changes[final[item], item] <= tolerance * scales[item]:
                final[item] += 1
            for call in range(ends[item], len(calls)):  # beyond the window: a better first guess than the one they had
                answers[call][item] = answers[ends[item] - 1][item]
    result = _replayed(Interpreter(plan, start, noisy, kept_noise), answers)[1]
    if not torch.isfinite(result).all():
        raise WalkError(f"picard: {_blame(calls, answers)}")
    return result, tuple(waited)


def _replayed(walk: Interpreter, answers: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    """The states of all calls, and the end, of a walk on which the network gives these answers."""
    states = list[Tensor]()
    for answer in answers:
        walk.advance()
        states.append(walk.state)
        walk.answer(answer)
    walk.advance()
    return states, walk.result


def _blame(calls: Sequence[Call], answers: list[Tensor]) -> str:
    """What is not finite, and since when."""
    for call, answer in zip(calls, answers, strict=True):
        if not torch.isfinite(answer).all():
            return f"the network's estimate is not finite in step {call.step}, at time {call.time:g}"
    return "the result is not finite, though every estimate is: start, noisy sound or a noise is not, or a sum overflows"


def _sizes(tensors: Tensor) -> list[float]:
    """Root mean square of each item."""
    return torch.stack([tensor.abs().double().square().mean().sqrt() for tensor in tensors]).tolist()
