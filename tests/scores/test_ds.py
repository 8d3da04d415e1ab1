import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.scores import Curve, Note, Phone, Score
from sgaudio.scores.ds import CURVES, read_ds, write_ds
from sgaudio.scores.timing import fitted, row_frames

SEGMENT = {
    "offset": 1.5,
    "text": "SP 小 酒 窝 AP",
    "ph_seq": "SP x iao j iu w o AP",
    "ph_dur": "0.4 0.1 0.4 0.1 0.45 0.05 1.0 0.5",
    "ph_num": "2 2 2 1 1",
    "note_seq": "rest C4 D#4+12 E4 F4 rest",
    "note_dur": "0.5 0.5 0.5 0.5 0.5 0.5",
    "note_slur": "0 0 0 0 1 0",
    "f0_seq": "0 0 261.6 300",
    "f0_timestep": "0.005",
}


@pytest.fixture
def read(tmp_path):
    def written(content, **options):
        path = tmp_path / "song.ds"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return read_ds(path, **options)

    return written


def changed(**entries):
    return [{key: value for key, value in {**SEGMENT, **entries}.items() if value != "gone"}]


def test_a_segment_is_read_as_it_stands(read):
    file = read([SEGMENT])
    (song,) = file.segments
    assert song.start == 1.5
    assert [(note.pitch, note.lyric, note.slur) for note in song.notes] == [
        *((None, "", False), (60, "小", False), (63.12, "酒", False), (64, "窝", False), (65, "", True), (None, "", False)),
    ]
    assert [("".join(p.name for p in n.leading), "".join(p.name for p in n.phones)) for n in song.notes] == [
        *(("", "SP"), ("x", "iao"), ("j", "iu"), ("w", "o"), ("", ""), ("", "AP")),
    ]
    assert [phone.duration for phone in song.phones] == [0.4, 0.1, 0.4, 0.1, 0.45, 0.05, 1.0, 0.5]
    assert song.curves == {"f0": Curve(0.005, (0, 0, 261.6, 300))}
    assert file.ignored == ()


def test_a_single_segment_need_not_be_in_a_list(read):
    assert read(SEGMENT).segments == read([SEGMENT]).segments


@given(st.data())
def test_what_was_written_is_read_as_the_same_score(songs, tmp_path_factory, data):
    song = data.draw(songs)
    values = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5).map(tuple)
    curves = data.draw(st.dictionaries(st.sampled_from(sorted(CURVES)), st.builds(Curve, st.floats(1e-3, 1), values)))
    song = replace(
        song,
        curves=curves,
        speaker=data.draw(st.sampled_from([None, "opencpop"])),
        seed=data.draw(st.sampled_from([None, 3])),
        language="zh",
    )
    timed = fitted(song, [0.1] * len(song.phones))
    path = tmp_path_factory.mktemp("ds") / "song.ds"
    write_ds(path, [song, timed])
    file = read_ds(path, curves=CURVES)
    assert file.segments == (song, timed)
    assert file.ignored == ()
    assert row_frames(file.segments[1], 187.5).tolist() == row_frames(timed, 187.5).tolist()


def test_what_the_voice_cannot_use_is_named_and_ignored(read):
    more = {"energy": "1 2", "energy_timestep": "0.01", "gender": None, "expr": 0.5, "mood": "glad", "spk_mix": {"a": 1, "b": 1}}
    file = read([SEGMENT, {**SEGMENT, **more}])
    assert file.ignored == ("energy", "energy_timestep", "expr", "mood", "spk_mix of several")
    assert "energy" not in file.segments[1].curves
    file = read({**SEGMENT, **more}, curves=("energy", "expr"))
    assert file.segments[0].curves == {"energy": Curve(0.01, (1, 2)), "expr": Curve(1.0, (0.5,))}
    assert file.ignored == ("f0_seq", "f0_timestep", "mood", "spk_mix of several")


def test_a_text_that_does_not_fit_is_ignored(read):
    file = read(changed(text="just words"))
    assert file.ignored == ("text (2 syllables for 3 sung)",)
    assert not any(note.lyric for note in file.segments[0].notes)


@pytest.mark.parametrize("text", ["小酒窝AP", "小 酒 窝", "SP小酒窝AP"])
def test_texts_are_for_words_or_for_syllables_with_blanks_or_without(read, text):
    song = read(changed(text=text)).segments[0]
    assert [note.lyric for note in song.notes] == (["", "小", "酒", "窝", "", ""] if text != "小酒窝AP" else ["", "", "", "", "", ""])


def test_between_two_vowels_the_rule_says_which_consonants_lead(read):
    english = {"ph_seq": "SP hh ae n d z g l ow", "ph_num": "2 6 1", "note_seq": "rest C4 D4", "note_dur": "1 1 1", "note_slur": "0 0 0"}
    english |= {"text": "SP hands glow", "ph_dur": "gone"}
    song = read(changed(**english)).segments[0]
    assert [len(note.leading) for note in song.notes] == [0, 1, 2]
    song = read(changed(**english, ph_lead="0 1 5")).segments[0]
    assert [len(note.leading) for note in song.notes] == [0, 1, 5]


def test_the_consonants_before_a_rest_end_the_syllable(read):
    song = read(
        changed(ph_seq="SP ae n d SP", ph_num="1 3 1", note_seq="rest C4 rest", note_dur="1 1 1", note_slur="0 0 0", ph_dur="gone")
    ).segments[0]
    assert [phone.name for phone in song.notes[1].phones] == ["ae", "n", "d"]


@pytest.mark.parametrize("key", ["ph_seq", "ph_num", "note_seq", "note_dur", "note_slur"])
def test_missing_keys_are_named(read, key):
    with pytest.raises(ConfigError, match=f"song.ds: segment 2: the key '{key}' is missing"):
        read([SEGMENT, *changed(**{key: "gone"})])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"note_dur": "0.5 half 0.5 0.5 0.5 0.5"}, "note_dur: item 2 is 'half', expected a number"),
        ({"note_dur": [0.5] * 6}, "note_dur is .*expected a string"),
        ({"note_dur": "0.5"}, "note_dur and note_seq do not match in number: 1 and 6"),
        ({"note_dur": "0.5 0.5 0.5 0.5 0.5 nan"}, "item 6 is 'nan'"),
        ({"note_dur": "0.5 0.5 0.5 0.5 0.5 5"}, "the notes last 7.500 s, the phones 3.000 s"),
        ({"note_dur": "0.5 0.5 0.5 0 1.0 0.5"}, "note 4 \\(E4, '窝'\\): lasts 0.0 s"),
        ({"note_slur": "0 0 0 0 1"}, "note_slur and note_seq do not match in number: 5 and 6"),
        ({"note_slur": "0 0 0 1 1 0"}, "notes without slur and ph_num do not match in number: 4 and 5"),
        ({"note_slur": "1 0 0 0 0 0"}, "note 1 \\(rest\\) is a slur"),
        ({"note_slur": "0 0 0 0 0.5 0"}, "note_slur: item 5 is 0.5, expected a whole number"),
        ({"note_seq": "rest H4 D4 E4 F4 rest"}, "note_seq: 'H4' is no note"),
        ({"note_seq": "rest rest rest rest rest rest", "note_slur": "0 0 0 0 0 0", "ph_num": "2 2 1 1 1 1"}, "rests only"),
        ({"ph_num": "2 2 2 2 1"}, "the sum of ph_num and ph_seq do not match in number: 9 and 8"),
        ({"ph_num": "2 0 4 1 1"}, "ph_num: item 2 is 0"),
        ({"ph_num": "2 -2 4 1 1"}, "ph_num: item 2 is -2"),
        ({"ph_seq": ""}, "ph_seq is '', expected a string"),
        ({"ph_dur": "1 1"}, "ph_dur and ph_seq do not match in number: 2 and 8"),
        ({"ph_lead": "0 1 1"}, "ph_lead and ph_num do not match in number: 3 and 5"),
        ({"ph_lead": "0 1 2 1 0"}, "ph_lead takes more phones"),
        ({"offset": "soon"}, "offset is 'soon', expected a number"),
        ({"offset": True}, "offset is True, expected a number"),
        ({"f0_timestep": "gone"}, "the key 'f0_timestep' is missing"),
        ({"f0_timestep": "0"}, "f0_timestep is 0, expected more"),
        ({"f0_seq": "1 2 x"}, "f0_seq: item 3 is 'x'"),
        ({"spk_mix": "me"}, "spk_mix is 'me'"),
    ],
)
def test_broken_lists_are_refused_by_a_line(read, entries, message):
    with pytest.raises(ConfigError, match=f"song.ds: segment 1.*{message}") as caught:
        read(changed(**entries))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '["a"]', "[" * 10_000])
def test_other_files_are_refused(read, content):
    with pytest.raises(ConfigError, match=r"song.ds: no .ds file"):
        read(content)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no \.ds file that can be read"):
        read_ds(tmp_path / "none.ds")


def test_what_has_no_place_in_the_file_is_refused(tmp_path):
    sung = Note(1, 60, "la", leading=(Phone("l"),), phones=(Phone("a"),))
    path = tmp_path / "song.ds"
    for segments, message in (
        ([], "no segment"),
        ([Score((Note(1, 60, "la"),))], "no phones yet"),
        ([Score((sung,))], "need a rest before"),
        ([Score((Note(1, None, phones=(Phone("SP"),)), sung), start=-1)], "starts at -1 s"),
    ):
        with pytest.raises(ConfigError, match=message):
            write_ds(path, segments)
        assert not path.exists()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_ds(tmp_path, [Score((Note(1, None, phones=(Phone("SP"),)), sung))])
