"""Models: where network, process, solver and spectrogram meet, and become one file."""

from sgaudio.models.checkpoint import Card, describe, load, save, shipped
from sgaudio.models.enhancer import Enhancer, EnhancerConfig
from sgaudio.models.regenerator import Regenerator, RegeneratorConfig
from sgaudio.models.sampling import Sampling

__all__ = ["Card", "Enhancer", "EnhancerConfig", "Regenerator", "RegeneratorConfig", "Sampling", "describe", "load", "save", "shipped"]
