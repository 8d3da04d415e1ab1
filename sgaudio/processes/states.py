"""States, and what stands beside them: each is a tensor, real or complex, of any floating precision.

What a caller, a network or a source of noise gives beside a state is on its device, and real or complex as it is. Its precision may be
another one: what comes of it has the state's.
"""

from torch import Tensor

from sgaudio.errors import ConfigError


def check_state(what: str, state: object) -> None:
    """Whether something can be a state.

    Raises:
        ConfigError: unless it is a tensor of floating point or complex numbers.
    """
    if not isinstance(state, Tensor) or not (state.is_floating_point() or state.is_complex()):
        raise ConfigError(f"{what} is {_described(state)}, expected a tensor of floating point or complex numbers")


def match_kind(what: str, value: object, state: Tensor, name: str = "state") -> Tensor:
    """What stands beside a state, which goes by this name.

    Raises:
        ConfigError: unless it is a tensor, on the state's device, and real or complex as the state.
    """
    if not isinstance(value, Tensor) or value.device != state.device or (value.dtype != state.dtype and _kind(value) != _kind(state)):
        raise ConfigError(f"{what} is {_described(value)}, expected {_described(state)} as the {name}")
    return value


def match(what: str, value: object, state: Tensor, name: str = "state") -> Tensor:
    """What stands beside a state, and is of its shape too.

    Raises:
        ConfigError: as `match_kind`, and on another shape.
    """
    matched = match_kind(what, value, state, name)
    if matched.shape != state.shape:
        raise ConfigError(f"{what} has the shape {tuple(matched.shape)}, expected {tuple(state.shape)} as the {name}")
    return matched


def version(state: Tensor) -> int:
    """How often a tensor was written to; one that was made in inference mode does not count."""
    return 0 if state.is_inference() else state._version


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def _described(value: object) -> str:
    return f"{value.dtype} on {value.device}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
