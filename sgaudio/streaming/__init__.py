"""Push blocks, get blocks: any function on windows as a stream of sound at any sample rate. Knows no model."""

from sgaudio.streaming.high_band import HighBand
from sgaudio.streaming.stream import Stream, WindowFunction

__all__ = ["HighBand", "Stream", "WindowFunction"]
