"""Models: where network, process, solver and spectrogram meet, and become one file."""

from sgaudio.models.checkpoint import Card, describe, load, save, shipped
from sgaudio.models.enhancer import Enhancer, EnhancerConfig, Sampling

__all__ = ["Card", "Enhancer", "EnhancerConfig", "Sampling", "describe", "load", "save", "shipped"]
