"""Melodies made up for lines of verse: mostly steps along a scale, a rhythm of a few figures, a long note of the tonic chord at the end."""

import numpy as np
from songs import Phrase, Tone

from sgaudio.scores.lyrics import HELD, syllables

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10))  # major, minor, dorian
TONIC = 60  # C4
FIGURES = ((1.0,), (2.0,), (0.5, 0.5), (1.5, 0.5), (1.0, 0.5, 0.5))  # beats
FIGURE_CHANCES = (0.45, 0.1, 0.2, 0.15, 0.1)
STEPS = (-4, -3, -2, -1, 0, 1, 2, 3, 4)  # of the scale
STEP_CHANCES = (0.02, 0.04, 0.1, 0.26, 0.14, 0.26, 0.1, 0.05, 0.03)
COMPASS = (-3, 8)  # degrees of the scale that a melody keeps to
SLURRED = 0.12  # of the syllables


def melody(line: str, generator: np.random.Generator) -> Phrase:
    """A line of verse with a melody, in C; some syllables are carried over two notes."""
    words = _slurred(line, generator)
    count = len(syllables(words))
    beats = list[float]()
    while len(beats) < count - 1:
        beats += FIGURES[generator.choice(len(FIGURES), p=FIGURE_CHANCES)]
    beats = [*beats[: count - 1], float(generator.choice((2, 3)))]
    scale = SCALES[generator.integers(len(SCALES))]
    degrees = [int(generator.choice((0, 2, 4)))]
    for _ in range(count - 2):
        wanted = degrees[-1] + int(generator.choice(STEPS, p=STEP_CHANCES))
        degrees.append(wanted if COMPASS[0] <= wanted <= COMPASS[1] else 2 * degrees[-1] - wanted)
    goals = [degree for degree in (-3, 0, 2, 4, 7) if count > 1]
    degrees += [min(goals, key=lambda goal: (abs(goal - degrees[-1]), goal))] if goals else []
    pitches = (TONIC + 12 * (degree // 7) + scale[degree % 7] for degree in degrees)
    return Phrase(tuple(map(Tone, map(float, pitches), beats)), words)


def _slurred(line: str, generator: np.random.Generator) -> str:
    """The words with a sign after those syllables that get a second note."""
    words = list[str]()
    for word in line.split():
        parts = [f"{part}-{HELD}" if generator.random() < SLURRED else part for part in word.split("-")]
        parts[-1] = parts[-1].replace("-", " ")
        words.append("-".join(parts))
    return " ".join(words)
