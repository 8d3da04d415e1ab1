"""What is sung: notes, syllables and phones, from MusicXML, MIDI and .ds files and back. Knows neither torch, model nor network."""

from sgaudio.scores.score import Curve, Note, Phone, Score, Tempo

__all__ = ["Curve", "Note", "Phone", "Score", "Tempo"]
