"""Repair and make sound by diffusion.

Four lines clean a recording:

    model = sgaudio.load("denoise")
    noisy, sample_rate = sgaudio.read("noisy.wav")
    clean = model.enhance(noisy, sample_rate)
    sgaudio.write("clean.wav", clean, sample_rate)

The command line is `sgaudio --help`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sgaudio.audio.files import read as read
    from sgaudio.audio.files import write as write
    from sgaudio.errors import SgaudioError as SgaudioError
    from sgaudio.models import Enhancer as Enhancer
    from sgaudio.models import load as load

_HOMES = {
    "Enhancer": "sgaudio.models",
    "SgaudioError": "sgaudio.errors",
    "load": "sgaudio.models",
    "read": "sgaudio.audio.files",
    "write": "sgaudio.audio.files",
}
__all__ = ["Enhancer", "SgaudioError", "__version__", "load", "read", "write"]


def __getattr__(name: str) -> Any:
    """Import on first use: the command line answers before torch is loaded."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'sgaudio' has no attribute {name!r}")
