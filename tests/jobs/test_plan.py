import os
from pathlib import Path

import pytest

from sgaudio.errors import ConfigError
from sgaudio.jobs import Task, plan


@pytest.fixture
def songs(tmp_path, monkeypatch):
    """A folder of files in a folder of its own, which is where the job runs."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.wav", "a.flac", "sub/deep/c.OGG", "notes.txt", ".hidden.wav", ".git/d.wav"):
        path = Path("songs", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Path("songs")


def targets(inputs, out, **options):
    tasks, _ = plan(inputs, out, **options)
    return [(task.source, task.target) for task in tasks]


def test_a_folder_gives_its_sound_files_at_any_depth_sorted_and_the_tree_is_kept(songs):
    assert targets(["songs"], "out") == [
        ("songs/a.flac", "out/a.flac"),
        ("songs/b.wav", "out/b.wav"),
        ("songs/sub/deep/c.OGG", "out/sub/deep/c.OGG"),
    ]


def test_one_file_and_a_name_of_a_sound_give_a_file(songs):
    assert targets(["songs/b.wav"], "clean.flac") == [("songs/b.wav", "clean.flac")]
    assert targets(["-"], "clean.wav") == [("-", "clean.wav")]
    assert targets(["songs/b.wav"], "-") == [("songs/b.wav", "-")]


def test_anything_else_gives_a_folder(songs):
    assert targets(["songs/b.wav"], "out") == [("songs/b.wav", "out/b.wav")]
    assert targets(["songs/b.wav", "-"], "out") == [("songs/b.wav", "out/b.wav"), ("-", "out/stdin.wav")]
    Path("folder.wav").mkdir()
    assert targets(["songs/b.wav"], "folder.wav") == [("songs/b.wav", "folder.wav/b.wav")]


@pytest.mark.parametrize("out", ["clean.wav", "-"])
@pytest.mark.parametrize("inputs", [["songs"], ["songs/a.flac", "songs/b.wav"]])
def test_more_than_one_file_cannot_become_one(songs, inputs, out):
    with pytest.raises(ConfigError, match="is the name of one sound, but the input is"):
        plan(inputs, out)


def test_a_file_is_not_taken_for_a_folder(songs):
    Path("out").touch()
    with pytest.raises(ConfigError, match="out: is a file, not a folder"):
        plan(["songs"], "out")


def test_a_folder_without_sound_fails_and_the_others_are_done(songs):
    Path("empty").mkdir()
    tasks, settled = plan(["empty", "songs/b.wav"], "out")
    assert tasks == [Task("songs/b.wav", "out/b.wav")]
    assert [(outcome.status, outcome.reason) for outcome in settled] == [("failed", "empty: no sound files in this folder")]


def test_an_output_that_exists_is_refused_skipped_or_replaced(songs):
    Path("out").mkdir()
    Path("out/b.wav").touch()
    with pytest.raises(ConfigError, match=r"out/b\.wav: exists: use --overwrite or --skip-existing"):
        plan(["songs"], "out")
    tasks, settled = plan(["songs"], "out", skip_existing=True)
    assert [task.source for task in tasks] == ["songs/a.flac", "songs/sub/deep/c.OGG"]
    assert [(outcome.input, outcome.status, outcome.reason) for outcome in settled] == [("songs/b.wav", "skipped", "output exists")]
    assert Task("songs/b.wav", "out/b.wav", replaces=True) in plan(["songs"], "out", overwrite=True)[0]
    with pytest.raises(ConfigError, match="exclude each other"):
        plan(["songs"], "out", overwrite=True, skip_existing=True)


def test_a_broken_link_is_an_output_that_exists(songs):
    Path("clean.wav").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="exists"):
        plan(["songs/b.wav"], "clean.wav")


@pytest.mark.parametrize("skip_existing", [False, True])
def test_an_output_that_is_an_input_is_refused_by_whatever_name(songs, skip_existing):
    os.link("songs/b.wav", "hard.wav")
    Path("soft.wav").symlink_to("songs/b.wav")
    Path("elsewhere").symlink_to("songs")
    options = {"skip_existing": skip_existing, "overwrite": not skip_existing}
    for inputs, out in (
        (["songs/b.wav"], "songs/b.wav"),
        (["songs/b.wav"], "songs/../songs/b.wav"),
        (["songs/b.wav"], "hard.wav"),
        (["songs/b.wav"], "soft.wav"),
        (["soft.wav"], "songs/b.wav"),
        (["songs"], "songs"),
        (["songs"], "elsewhere"),
        (["songs/b.wav"], "songs"),
    ):
        with pytest.raises(ConfigError, match="is an input"):
            plan(inputs, out, **options)


def test_two_inputs_that_share_an_output_are_refused(songs):
    Path("other").mkdir()
    Path("other/b.wav").touch()
    for inputs in (["songs", "other"], ["songs/b.wav", "songs/b.wav"], ["songs/b.wav", "other/b.wav"], ["-", "-"]):
        with pytest.raises(ConfigError, match="would both be written to out/"):
            plan(inputs, "out")


def test_the_output_folder_in_the_input_folder_is_not_enhanced_again(songs):
    first = targets(["songs"], "songs/clean")
    Path("songs/clean").mkdir()
    Path("songs/clean/a.flac").touch()
    assert targets(["songs"], "songs/clean", overwrite=True) == first


def test_links_out_of_the_folder_are_not_followed(songs):
    Path("outside").mkdir()
    Path("outside/x.wav").touch()
    (songs / "link.wav").symlink_to(Path("outside/x.wav").resolve())
    (songs / "links").symlink_to(Path("outside").resolve())
    (songs / "same.wav").symlink_to("b.wav")
    os.mkfifo(songs / "pipe.wav")
    tasks, settled = plan(["songs"], "out")
    assert "songs/same.wav" in [task.source for task in tasks]
    assert not any("link" in task.source or "pipe" in task.source for task in tasks)
    assert {(outcome.input, outcome.reason) for outcome in settled} == {
        ("songs/link.wav", "link out of the folder"),
        ("songs/links", "link to a folder"),
        ("songs/pipe.wav", "no regular file"),
    }


def test_a_link_in_the_output_folder_cannot_lead_out_of_it(songs):
    Path("outside").mkdir()
    Path("out").mkdir()
    Path("out/sub").symlink_to(Path("outside").resolve())
    with pytest.raises(ConfigError, match="lies outside of out, through a link to"):
        plan(["songs"], "out")


def test_dots_in_the_names_of_inputs_do_not_lead_out_of_the_output_folder(songs):
    Path("here").mkdir()
    os.chdir("here")
    assert targets(["../songs/b.wav"], "out") == [("../songs/b.wav", "out/b.wav")]
    assert targets(["../songs"], "out")[0] == ("../songs/a.flac", "out/a.flac")
    os.chdir("../songs/sub")
    assert all(target.startswith("../../out/") and ".." not in target[9:] for _, target in targets([".."], "../../out"))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads any folder")
def test_a_folder_that_cannot_be_read_is_told(songs):
    (songs / "sub").chmod(0)
    tasks, settled = plan(["songs"], "out")
    (songs / "sub").chmod(0o755)
    assert len(tasks) == 2
    assert [outcome.reason for outcome in settled] == ["songs/sub: permission denied"]
