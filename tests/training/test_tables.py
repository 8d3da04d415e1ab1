"""A table that is written is read again as it was, and what it cannot hold is refused."""

import pytest

from sgaudio.errors import AudioError, ConfigError
from sgaudio.training.tables import beside, place, read_table, whole, write_table

COLUMNS = ("file", "start", "text")


@pytest.fixture
def sound(tmp_path):
    """A file two folders deep."""
    path = tmp_path / "corpus" / "speech" / "a b.wav"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_what_is_written_is_read_again(sound, tmp_path):
    table = tmp_path / "new" / "folder" / "t.tsv"
    rows = [(sound, 0, 'he said "no"'), (sound, 12, "")]
    assert write_table(table, COLUMNS, rows) == f"{table}: 2 rows\n"
    read = read_table(table, COLUMNS)
    assert [(row["file"], whole(table, row, "start"), row["text"]) for row in read] == [
        (str(sound), start, text) for _, start, text in rows
    ]
    assert list(table.parent.iterdir()) == [table]


def test_a_file_below_the_table_is_named_from_there_and_moves_with_it(sound, tmp_path, monkeypatch):
    corpus = tmp_path / "corpus"
    monkeypatch.chdir(tmp_path)
    write_table(corpus / "t.tsv", ("file",), [(sound,), (sound.relative_to(tmp_path),)])
    moved = corpus.rename(tmp_path / "moved")
    assert [row["file"] for row in read_table(moved / "t.tsv", ("file",))] == ["speech/a b.wav"] * 2
    assert beside(moved / "t.tsv", "speech/a b.wav").is_file()
    assert place(sound, moved) == sound


def test_a_file_may_be_named_from_the_folder_above_the_table(sound):
    table = sound.parent / "t.tsv"
    assert beside(table, "speech/a b.wav") == sound
    assert beside(table, "a b.wav") == sound
    assert beside(table, "gone.wav") == sound.parent / "gone.wav"


@pytest.mark.parametrize("cell", ["a\tb", "a\nb", "a\rb", "a\udcffb"])
def test_what_a_table_cannot_hold_is_refused_and_the_old_table_stays(tmp_path, cell):
    table = tmp_path / "t.tsv"
    write_table(table, ("text",), [("old",)])
    with pytest.raises(ConfigError, match=r"t\.tsv: 'a\\.*b' holds a tab, .*: rename it"):
        write_table(table, ("text",), [("new",), (cell,)])
    assert read_table(table, ("text",)) == [{"text": "old"}]


def test_a_table_without_rows_is_not_written(tmp_path):
    with pytest.raises(ConfigError, match=r"t\.tsv: nothing to write: is all sound for it missing"):
        write_table(tmp_path / "t.tsv", ("file",), [])
    assert not list(tmp_path.iterdir())


def test_a_folder_is_not_replaced_by_a_table(tmp_path):
    (tmp_path / "t.tsv").mkdir()
    with pytest.raises(AudioError, match=r"t\.tsv: exists and is no regular file"):
        write_table(tmp_path / "t.tsv", ("text",), [("new",)])
