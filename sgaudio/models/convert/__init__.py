"""Published checkpoints, read without running anything in them, and turned into model files of ours."""

from sgaudio.models.convert.conversion import convert

__all__ = ["convert"]
