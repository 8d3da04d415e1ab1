"""The one interpreter: it runs any plan on tensors."""

from collections.abc import Callable
from inspect import signature

import torch
from torch import Tensor

from sgaudio.errors import ConfigError, WalkError
from sgaudio.processes.states import check_state, match, match_kind, version
from sgaudio.solvers.plan import NOISY, START, Call, Draw, Plan, Sum

Denoise = Callable[[Tensor, float], Tensor]
Noise = Callable[[int, str, int], Tensor]
KEY = ("step", "purpose", "repeat")  # of a noise


def sample(plan: Plan, denoise: Denoise, start: Tensor, noisy: Tensor | None = None, noise: Noise | None = None) -> Tensor:
    """Walk from `start` to the end of the plan's grid.

    Nothing waits for the device between the first call and the last. Gradients flow through, unless the caller switches them off.

    Args:
        plan: what `record` made of a solver, a process and a grid.
        denoise: (state, time) -> clean estimate of the state's shape, in a tensor of its own: some solvers keep it. It leaves the state
            as it is; the noisy sound is the caller's to add.
        start: the state at the grid's first time, any shape, real or complex: alpha x_0 + kappa y + sigma n, which is the noisy sound on a
            bridge.
        noisy: the noisy sound y, of the state's shape; needed if the process pulls to it.
        noise: (step, purpose, repeat) -> standard normal noise that broadcasts to the state's shape, E|n|^2 = 1; needed if the plan draws
            any.

    Returns:
        The state at the grid's end, of the shape and precision of `start`; at time 0 it is the clean estimate.

    Raises:
        ConfigError: before the first call, if noise or noisy sound is missing, does not match the start, or is not a bridge's start; in the
            walk, if an estimate or a noise does not match the state, or the network changed the state in place.
        WalkError: after it, if the result is not finite: the walk is then run once more to tell in which call that began.
    """
    check_start(plan, start, noisy, noise)
    check_function("sample: denoise", denoise, "state", "time")
    result = run(plan, denoise, start, noisy, noise)
    if not torch.isfinite(result).all():
        raise WalkError(_blame(plan, denoise, start, noisy, noise))
    return result


def run(plan: Plan, denoise: Denoise, start: Tensor, noisy: Tensor | None = None, noise: Noise | None = None) -> Tensor:
    """`sample` without its checks of values: for a loop that must never wait for the device, a CUDA graph for instance."""
    walk = Interpreter(plan, start, noisy, noise)
    while call := walk.advance():
        walk.answer(denoise(walk.state, call.time))
    return walk.result


class Interpreter:
    """A plan under way, which stops wherever the network is due: `advance` to the call, read `state`, `answer`; at the end, `result`.

    Args:
        plan, start, noisy, noise: as for `sample`.
    """

    def __init__(self, plan: Plan, start: Tensor, noisy: Tensor | None = None, noise: Noise | None = None):
        self.plan, self._start, self._noise = plan, start, noise
        self._registers: dict[int, Tensor] = {START: start} | ({} if noisy is None else {NOISY: noisy.to(start.dtype)})
        self._next = self._version = 0

    @property
    def state(self) -> Tensor:
        """The state that the network sees in the call that is due."""
        return self._registers[self._call.state]

    @property
    def result(self) -> Tensor:
        """The state at the end of the walk."""
        return self._registers[self.plan.result]

    @property
    def _call(self) -> Call:
        row = self.plan.rows[self._next]
        assert isinstance(row, Call)
        return row

    def advance(self) -> Call | None:
        """Go on until the network is due, and say for what; None at the end of the walk."""
        while self._next < len(self.plan.rows):
            row = self.plan.rows[self._next]
            if isinstance(row, Call):
                self._version = version(self.state)
                return row
            self._make(row.into, self._sum(row) if isinstance(row, Sum) else self._draw(row))
        return None

    def answer(self, estimate: Tensor) -> None:
        """Hand in the clean estimate of the call that is due.

        Raises:
            ConfigError: if it does not match the state, or the state was changed in place.
        """
        self._make(self._call.into, matched_estimate("sample", estimate, self.state, self._version, self._call.time))

    def _make(self, register: int, tensor: Tensor) -> None:
        self._registers[register] = tensor
        for freed in self.plan.frees[self._next]:
            self._registers.pop(freed, None)
        self._next += 1

    def _sum(self, row: Sum) -> Tensor:
        vectors = [self._registers[register] for register in row.reads]
        is_complex = all(vector.is_complex() for vector in vectors)
        if is_complex:  # real factors of complex numbers: half of the work
            vectors = [torch.view_as_real(vector.resolve_conj()) for vector in vectors]
        (first, *others), (factor, *factors) = vectors, (coefficient for _, coefficient in row.terms)
        total = first * factor
        for vector, factor in zip(others, factors, strict=True):
            total.add_(vector, alpha=factor)
        return torch.view_as_complex(total) if is_complex else total

    def _draw(self, row: Draw) -> Tensor:
        assert self._noise is not None
        return matched_noise("sample", self._noise, row.key, self._start)


def check_start(plan: Plan, start: Tensor, noisy: Tensor | None, noise: Noise | None) -> None:
    """What can be said before the walk.

    Raises:
        ConfigError: as `sample` says.
    """
    if not isinstance(plan, Plan):
        raise ConfigError(f"sample: the plan is a {type(plan).__name__}, expected what `record` makes of a solver, a process and a grid")
    if noise is not None:
        check_function("sample: noise", noise, *KEY)
    if noise is None and plan.draws:
        raise ConfigError(f"sample: this plan draws noise {len(plan.draws)} times and got none: pass noise(step, purpose, repeat)")
    if noisy is None and (plan.reads_noisy or plan.bridge):
        raise ConfigError("sample: this plan needs the noisy sound and got none: pass noisy")
    check_noisy("sample", start, noisy)
    if plan.bridge:
        check_bridge("sample", start, noisy)


def check_noisy(name: str, start: Tensor, noisy: Tensor | None) -> None:
    """Whether a start and a noisy sound fit each other.

    Raises:
        ConfigError: if the start is no state, or the noisy sound does not match it.
    """
    check_state(f"{name}: the start", start)
    if noisy is not None:
        match(f"{name}: the noisy sound", noisy, start, "start")


def check_bridge(name: str, start: Tensor, noisy: Tensor | None) -> None:
    """Whether a start can be a bridge's.

    Raises:
        ConfigError: if it is not the noisy sound.
    """
    if noisy is not None and start is not noisy and not torch.equal(start, noisy.to(start.dtype)):
        raise ConfigError(
            f"{name}: a bridge starts in its noisy sound and got another state: pass start=noisy, or a grid that begins below 1"
        )


def check_function(what: str, function: object, *arguments: str) -> None:
    """Whether something can be called with these arguments.

    Raises:
        ConfigError: if it is no function, or one of others.
    """
    found = f"is a {type(function).__name__}"
    if callable(function):
        try:
            signature(function).bind(*arguments)
            return
        except ValueError:  # nothing is known of it
            return
        except TypeError:
            found = "takes other arguments"
    raise ConfigError(f"{what} {found}, expected a function of ({', '.join(arguments)})")


def check_items(name: str, start: Tensor) -> None:
    """Whether a start has items, for what goes on item by item.

    Raises:
        ConfigError: if it has none.
    """
    check_state(f"{name}: the start", start)
    if start.ndim == 0 or start.numel() == 0:
        raise ConfigError(f"{name}: the start has the shape {tuple(start.shape)}, expected (batch, ...) and nothing of it empty")


def matched_estimate(name: str, estimate: Tensor, state: Tensor, before: int, time: float) -> Tensor:
    """A network's estimate from a state whose `version` was that `before`, in the state's precision.

    Raises:
        ConfigError: if it does not match the state, or the state was changed in place.
    """
    if version(state) != before:
        raise ConfigError(f"{name}: the network changed its state in place at time {time:g}, which the solver still needs: work on a copy")
    return match(f"{name}: the estimate at time {time:g}", estimate, state).to(state.dtype)


def matched_noise(name: str, noise: Noise, key: tuple[int, str, int], state: Tensor) -> Tensor:
    """The noise of a key, of a state's shape and precision.

    Raises:
        ConfigError: if it does not match the state.
    """
    drawn = match_kind(f"{name}: the noise {key}", noise(*key), state)
    try:
        return drawn.to(state.dtype).expand(state.shape)
    except RuntimeError:
        expected = f"expected what broadcasts to {tuple(state.shape)}"
        raise ConfigError(f"{name}: the noise {key} has the shape {tuple(drawn.shape)}, {expected}") from None


def _blame(plan: Plan, denoise: Denoise, start: Tensor, noisy: Tensor | None, noise: Noise | None) -> str:
    """What is not finite, and since when."""
    for what, tensor in (("start", start), ("noisy sound", noisy)):
        if tensor is not None and not torch.isfinite(tensor).all():
            return f"sample: the {what} is not finite in {_wrong(tensor)} values"
    walk, count = Interpreter(plan, start, noisy, noise), 0
    while call := walk.advance():
        estimate, count = denoise(walk.state, call.time), count + 1
        if not torch.isfinite(estimate).all():
            where = f"in step {call.step}, at time {call.time:g} (call {count} of {plan.evaluations})"
            came = "from a finite state" if torch.isfinite(walk.state).all() else "from a state that was not finite either"
            return f"sample: the network's estimate is not finite {where}, in {_wrong(estimate)} values, {came}"
        walk.answer(estimate)
    return "sample: the result is not finite, though every estimate was when the walk was run again: a sum, or a noise, overflows"


def _wrong(tensor: Tensor) -> str:
    return f"{int((~torch.isfinite(tensor)).sum())} of {tensor.numel()}"
