import pytest
from hypothesis import strategies as st

from sgaudio.scores import Note, Phone, Score

RATE = 187.5  # frames a second, of 24 kHz and a hop of 128


@pytest.fixture(scope="session")
def songs():
    """Songs whose phones have no durations yet, beginning with a rest; many notes end half way between two frames."""
    durations = st.one_of(st.floats(0.01, 4), st.integers(3, 900).map(lambda half: half / (2 * RATE)))
    consonants = st.lists(st.sampled_from("bkst"), max_size=3).map(lambda names: tuple(map(Phone, names)))
    pitches = st.integers(4800, 7200).map(lambda cents: round(cents / 100) + (cents - 100 * round(cents / 100)) / 100)
    rests = st.builds(lambda duration: (Note(duration, None, phones=(Phone("SP"),)),), durations)

    @st.composite
    def syllable(draw):
        phones = (Phone("a"), *draw(consonants))
        first = Note(
            draw(durations),
            draw(pitches),
            draw(st.sampled_from(["la", "dream", "小"])),
            draw(st.booleans()),
            False,
            draw(consonants),
            phones,
        )
        return (first, *(Note(draw(durations), draw(pitches), slur=True) for _ in range(draw(st.integers(0, 2)))))

    @st.composite
    def song(draw):
        parts = [draw(rests), draw(syllable()), *draw(st.lists(st.one_of(rests, syllable()), max_size=8))]
        return Score(tuple(note for part in parts for note in part), start=draw(st.integers(0, 1000)) / RATE)

    return song()
