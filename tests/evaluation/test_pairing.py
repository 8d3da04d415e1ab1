"""Sounds are paired by their relative path, whatever else lies there."""

import pytest

from sgaudio.errors import ConfigError
from sgaudio.evaluation import given, mixed, pairs
from sgaudio.evaluation.pairing import sounds_below

from .conftest import put, sound


def test_sounds_are_paired_by_path_without_suffix_never_by_position(tree):
    (tree / "enhanced/one.wav").rename(tree / "enhanced/one.flac.wav")
    (tree / "enhanced/one.flac.wav").rename(tree / "enhanced/zzz.wav")
    put(tree / "enhanced/one.flac", sound(0))
    items, left_out = pairs(tree / "clean", tree / "noisy", [tree / "enhanced"])
    assert [item.name for item in items] == ["deep/three", "deep/two", "one"]
    for item in items:
        assert item.clean == tree / "clean" / f"{item.name}.wav"
        assert item.noisy == tree / "noisy" / f"{item.name}.wav"
    assert left_out == [f"{tree / 'enhanced'}: left out for want of a counterpart: 'zzz'"]


def test_a_sound_that_one_of_several_folders_has_not_still_counts(tree):
    put(tree / "other/one.wav", sound(0))
    items, left_out = pairs(tree / "clean", None, [tree / "other"])
    assert [item.name for item in items] == ["one"]
    assert left_out == [f"{tree / 'clean'}: left out for want of a counterpart: 'deep/three' (and 1 more)"]
    items, left_out = pairs(tree / "clean", None, [tree / "other", tree / "enhanced"])
    assert len(items) == 3
    assert left_out == []


def test_without_estimates_the_noisy_sounds_count_and_without_clean_ones_the_estimates(tree):
    assert [item.name for item in pairs(tree / "clean", tree / "noisy")[0]] == ["deep/three", "deep/two", "one"]
    (item, *_), _ = pairs(estimates=[tree / "enhanced"])
    assert (item.clean, item.noisy) == (None, None)


def test_what_there_is_decides_what_can_be_measured(tree):
    assert given(pairs(estimates=[tree / "enhanced"])[0]) == set()
    assert given(pairs(tree / "clean", None, [tree / "enhanced"])[0]) == {"reference", "words"}
    assert given(pairs(tree / "clean", tree / "noisy")[0]) == {"reference", "noise", "words"}
    assert given(mixed(tree / "mixtures.tsv")[0]) == {"reference", "noise", "words"}


def test_folders_that_cannot_be_used_are_refused(tree):
    (tree / "empty").mkdir()
    put(tree / "strange/x.wav", sound(0))
    for folders, message in {
        (tree / "clean", None, (tree / "empty",)): f"{tree / 'empty'}: no sound files in this folder",
        (tree / "none", None, (tree / "clean",)): f"{tree / 'none'}: no such folder",
        (tree / "clean", None, (tree / "strange",)): "no sound has the same name .* there are 'deep/three' in .*clean and 'x' in .*strange",
    }.items():
        with pytest.raises(ConfigError, match=message):
            pairs(*folders)
    put(tree / "strange/x.flac", sound(0))
    with pytest.raises(ConfigError, match=r"strange: x\.flac and x\.wav have one name"):
        sounds_below(tree / "strange")


def test_hidden_files_and_other_files_are_passed_over(tree):
    put(tree / "clean/.hidden.wav", sound(0))
    put(tree / "clean/.folder/a.wav", sound(0))
    (tree / "clean/readme.txt").write_text("")
    assert list(sounds_below(tree / "clean")) == ["deep/three", "deep/two", "one"]


def test_linked_folders_are_followed_once_and_loops_end(tree):
    put(tree / "elsewhere/four.wav", sound(0))
    (tree / "clean/linked").symlink_to(tree / "elsewhere")
    (tree / "clean/deep/up").symlink_to(tree / "clean")
    assert list(sounds_below(tree / "clean")) == ["deep/three", "deep/two", "linked/four", "one"]


def test_an_id_with_a_suffix_finds_its_estimate(tree):
    rows = (tree / "mixtures.tsv").read_text()
    (tree / "mixtures.tsv").write_text(rows.replace("\na\t", "\none.wav\t"))
    (item, _), left_out = mixed(tree / "mixtures.tsv", estimates=[tree / "enhanced"])
    assert item.estimates == ((tree / "enhanced", tree / "enhanced/one.wav"),)
    assert left_out == [f"{tree / 'enhanced'}: left out for want of a counterpart: 'deep/three' (and 1 more)"]


def test_texts_go_by_name(tree):
    text = tree / "text.tsv"
    text.write_text("one.WAV\tHello, there.\n\ndeep/two\tyes\ndeep/three\tno\nmore\tnot needed\n")
    items, _ = pairs(tree / "clean", None, [tree / "enhanced"], text)
    assert {item.name: item.text for item in items} == {"one": "Hello, there.", "deep/two": "yes", "deep/three": "no"}
    assert given(pairs(estimates=[tree / "enhanced"], text=text)[0]) == {"words"}
    for content, message in {
        "one\tyes\n": "text.tsv: no line for 'deep/three' \\(and 1 more\\)",
        "one\tyes\none.wav\tno\n": "text.tsv: line 2: 'one' stands there a second time",
        "one yes\n": "text.tsv: line 1: a name, a tab and a text are expected",
        "one\t \n": "text.tsv: line 1: a name, a tab and a text are expected",
    }.items():
        text.write_text(content)
        with pytest.raises(ConfigError, match=message):
            pairs(tree / "clean", None, [tree / "enhanced"], text)
    with pytest.raises(ConfigError, match=r"none\.tsv: no text that can be read"):
        pairs(tree / "clean", None, [tree / "enhanced"], tree / "none.tsv")


def test_all_mixtures_have_a_text_or_none(tree):
    rows = (tree / "mixtures.tsv").read_text().splitlines()
    (tree / "mixtures.tsv").write_text("\n".join([rows[0] + "\ttext", rows[1] + "\thello", rows[2] + "\t"]) + "\n")
    with pytest.raises(ConfigError, match=r"mixtures\.tsv: the text of 'b' is empty: give all or none"):
        mixed(tree / "mixtures.tsv")
