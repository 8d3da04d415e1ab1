"""`sgaudio evaluate`: in this process where that shows the same, in a real one for several processes and interruptions."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sgaudio.cli import main

RATE = 8_000
PROGRAM = [sys.executable, "-c", "from sgaudio.cli import main; main()"]
OWN = ("--metrics", "si-sdr", "lsd", "level")
FILES = {"results.json", "scores.csv", "scores.jsonl", "table.md", "boxes.png"}


def sound(seed: int, frames: int = 4_000) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(frames)).astype(np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """clean/, noisy/, enhanced/ of the names a and deep/b, and mixtures.tsv."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    for name, parts in {"clean": (), "noisy": (10,), "enhanced": (20,)}.items():
        (tmp_path / name / "deep").mkdir(parents=True)
        for seed, file in enumerate(("a.wav", "deep/b.wav")):
            soundfile.write(tmp_path / name / file, sound(seed) + sum(0.3 * sound(part) for part in parts), RATE, subtype="FLOAT")
    rows = [
        "id\tspeech\tnoise\tsnr_db\tnoise_offset_samples",
        "x\tclean/a.wav\tclean/deep/b.wav\t-5\t0",
        "y\tclean/deep/b.wav\tclean/a.wav\t5\t9",
    ]
    Path("mixtures.tsv").write_text("\n".join(rows) + "\n")


@pytest.fixture
def evaluate(monkeypatch, capsys):
    """Run the command in this process: (exit status, standard output, lines on standard error)."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["sgaudio", "evaluate", "--jobs", "0", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err.splitlines()

    return command


PAIRS = ("--clean", "clean", "--estimate", "enhanced", "--noisy", "noisy", *OWN)


def test_folders_are_scored_and_the_results_lie_in_the_folder(evaluate):
    status, out, err = evaluate(*PAIRS, "-o", "results")
    assert (status, err) == (
        0,
        ["evaluate: 2 sounds by 2 systems: SI-SDR, LSD, level", "evaluate: 4 estimates scored; results in results"],
    )
    head, ours, unprocessed = out.splitlines()
    assert head.split() == ["SI-SDR", "(dB)", "↑", "LSD", "(dB)", "↓", "level", "(dB)", "→", "0"]
    assert (ours.split()[0], unprocessed.split()[0]) == ("enhanced", "unprocessed")
    assert {path.name for path in Path("results").iterdir()} == FILES
    found = json.loads(Path("results/results.json").read_text())
    assert found["means"]["enhanced"]["SI-SDR"]["files"] == 2
    assert found["settings"]["systems"] == {"enhanced": {"kind": "folder"}, "unprocessed": {"kind": "unprocessed"}}
    assert {"torch", "numpy", "soundfile", "sgaudio"} <= set(found["environment"]["versions"])


def test_models_and_mixtures_are_mixed_enhanced_and_drawn(evaluate, tiny):
    words = ("--mixtures", "mixtures.tsv", "--model", tiny, "--steps", 1, 3, "--solver", "ddim", "--seed", 5, "--device", "cpu", *OWN)
    status, out, err = evaluate(*words, "--spectrograms", 1, "-o", "results")
    assert status == 0
    assert err[0] == "evaluate: 2 sounds by 3 systems: SI-SDR, LSD, level"
    assert [line.split("  ")[0] for line in out.splitlines()[1:]] == ["tiny, ddim, 1 step", "tiny, ddim, 3 steps", "unprocessed"]
    (picture,) = Path("results/spectrograms").iterdir()
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(Path("results/results.json").read_text())
    about = found["settings"]["systems"]["tiny, ddim, 3 steps"]
    assert (about["solver"], about["steps"], about["seed"], about["device"], len(about["sha256"])) == ("ddim", 3, 5, "cpu", 64)
    assert found["means"]["unprocessed"]["SI-SDR"]["mean"] == pytest.approx(0, abs=0.3)
    assert list(found["groups"]) == ["-5 dB", "5 dB"]


def test_two_runs_are_equal_but_for_the_date(evaluate, tiny):
    for name, jobs in (("first", 1), ("second", 2)):
        words = ("--mixtures", "mixtures.tsv", "--model", tiny, "--device", "cpu", *OWN, "--spectrograms", 2, "--jobs", jobs)
        assert evaluate(*words, "-o", name)[0] == 0
    files = sorted(path.relative_to("first") for path in Path("first").rglob("*") if path.is_file())
    assert len(files) == 7
    for file in files:
        contents = [(Path(name) / file).read_bytes() for name in ("first", "second")]
        if file.name == "results.json":
            contents = [json.loads(content) for content in contents]
            assert all(content["environment"].pop("date") for content in contents)
        assert contents[0] == contents[1], file


def test_a_finished_evaluation_is_not_scored_again_and_another_does_not_replace_it(evaluate, monkeypatch):
    assert evaluate(*PAIRS, "-o", "results")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr("sgaudio.evaluation.run.score", lambda task: pytest.fail("scored again"))
        assert evaluate(*PAIRS, "-o", "results")[0] == 0
    before = Path("results/results.json").read_bytes()
    other = ("--clean", "clean", "--estimate", "enhanced", "--metrics", "lsd", "-o", "results")
    status, _, err = evaluate(*other)
    assert (status, err[-1]) == (
        2,
        "sgaudio: results: holds an evaluation of other systems, metrics, sound, estimates: use --overwrite or another folder",
    )
    assert Path("results/results.json").read_bytes() == before
    assert evaluate(*other, "--overwrite")[0] == 0
    assert list(json.loads(Path("results/results.json").read_text())["metrics"]) == ["LSD"]


def test_without_clean_sounds_what_needs_one_is_left_out(evaluate, monkeypatch):
    monkeypatch.setattr("sgaudio.metrics.metric.find_spec", lambda name: None)
    status, _, err = evaluate("--estimate", "enhanced", "-o", "results")
    assert status == 2
    assert "SI-SDR: needs the clean sound as a reference" in err[-1]
    assert "SIG, BAK, OVRL: speechmos is not installed: pip install 'sgaudio[metrics]'" in err[-1]


def test_a_metric_that_is_not_installed_is_left_out_and_said_so(evaluate, monkeypatch):
    monkeypatch.setattr("sgaudio.metrics.metric.find_spec", lambda name: None)
    status, out, err = evaluate("--clean", "clean", "--estimate", "enhanced", "-o", "results")
    assert status == 0
    assert (
        err[0]
        == "evaluate: PESQ-wb: pesq is not installed: pip install 'sgaudio[metrics]' (it is built from source, by a C compiler): left out"
    )
    assert "SI-SDR" in out
    status, _, err = evaluate("--clean", "clean", "--estimate", "enhanced", "--metrics", "pesq-wb", "-o", "other")
    assert (status, err) == (
        2,
        ["sgaudio: PESQ-wb: pesq is not installed: pip install 'sgaudio[metrics]' (it is built from source, by a C compiler)"],
    )


def test_what_cannot_be_scored_is_named_and_counted_and_the_status_is_1(evaluate):
    soundfile.write("enhanced/a.wav", np.stack([sound(0), sound(1)], 1), RATE)
    Path("enhanced/deep/b.wav").unlink()
    Path("second/deep").mkdir(parents=True)
    soundfile.write("second/a.wav", sound(0), RATE)
    soundfile.write("second/deep/b.wav", sound(0, 20_000), RATE)
    status, _, err = evaluate("--clean", "clean", "--estimate", "enhanced", "second", *OWN, "-o", "results")
    assert status == 1
    assert err[-4] == "evaluate: 1 of 4 estimates scored in full; results in results; not scored:"
    assert err[-3:] == [
        "evaluate: a, enhanced: SI-SDR, LSD, level: the estimate has 2 channels, the clean sound has 1 channel: "
        "mono and stereo are not compared",
        "evaluate: deep/b, enhanced: SI-SDR, LSD, level: no estimate in enhanced",
        "evaluate: deep/b, second: SI-SDR, LSD, level: the estimate lasts 2.50 s, the clean sound 0.50 s: "
        "at most 1 s or half may lie between",
    ]
    assert json.loads(Path("results/results.json").read_text())["means"]["second"]["LSD"]["files"] == 1


def test_a_silent_reference_is_named(evaluate):
    soundfile.write("clean/a.wav", np.zeros(4_000), RATE)
    status, _, err = evaluate("--clean", "clean", "--estimate", "enhanced", *OWN, "-o", "results")
    assert (status, err[-1]) == (1, "evaluate: a, enhanced: SI-SDR, LSD, level: reference is silent")


def test_a_delay_and_a_change_are_told(evaluate):
    for name in ("a", "deep/b"):
        clean, _ = soundfile.read(f"clean/{name}.wav", dtype="float32")
        soundfile.write(f"enhanced/{name}.wav", np.concatenate([np.zeros(80, np.float32), clean]), RATE, subtype="FLOAT")
    words = ("--clean", "clean", "--estimate", "enhanced", *OWN)
    status, _, err = evaluate(*words, "-o", "results")
    assert status == 0
    assert err[1] == "evaluate: enhanced: 10.00 ms late in 2 sounds: --align removes it"
    assert err[2] == "evaluate: changed before scoring: enhanced: the estimate is 80 samples longer: the common part is compared (2 sounds)"
    _, out, err = evaluate(*words, "--align", "-o", "aligned")
    assert err[1] == "evaluate: enhanced: 10.00 ms late in 2 sounds: removed"
    assert float(out.splitlines()[1].split()[1]) > 15


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--clean", "clean"), "nothing to evaluate: give --estimate DIR, --model NAME or --against NAME"),
        (("--clean", "empty", "--estimate", "enhanced"), "empty: no sound files in this folder"),
        (("--clean", "missing", "--estimate", "enhanced"), "missing: no such folder"),
        (
            ("--clean", "clean", "--estimate", "strange"),
            "no sound has the same name (path below the folder, without suffix) in all folders",
        ),
        (("--clean", "clean", "--model", "denoise"), "denoise needs noisy sounds: give --noisy DIR or --mixtures FILE.tsv"),
        (("--clean", "clean", "--mixtures", "mixtures.tsv", "--model", "denoise"), "--mixtures makes clean and noisy sounds"),
        (("--mixtures", "none.tsv", "--model", "denoise"), "none.tsv: no table that can be read (No such file or directory)"),
        (("--mixtures", "mixtures.tsv", "--model", "denois"), "unknown model 'denois': did you mean 'denoise'"),
        (("--mixtures", "mixtures.tsv", "--model", "denoise", "--solver", "ddin"), "unknown solver 'ddin': did you mean 'ddim'"),
        (("--mixtures", "mixtures.tsv", "--model", "denoise", "--steps", "0"), "Sampling: steps is 0, expected 1 to 1000"),
        (("--mixtures", "mixtures.tsv", "--model", "denoise", "denoise"), "two systems are called 'denoise': give each once"),
        (("--mixtures", "mixtures.tsv", "--against", "rnnoice"), "unknown peer 'rnnoice': did you mean 'rnnoise'"),
        (("--clean", "clean", "--estimate", "enhanced", "enhanced"), "--estimate: a folder is given twice"),
        (("--clean", "clean", "--estimate", "enhanced", "--root", "clean"), "--root belongs to --mixtures"),
        (("--clean", "clean", "--estimate", "enhanced", "--steps", "2"), "--steps belongs to --model"),
        (("--clean", "clean", "--estimate", "enhanced", "--text", "mixtures.tsv"), "--text is for word error rates: name wer in --metrics"),
        (("--mixtures", "mixtures.tsv", "--against", "--model", "denoise"), "option --against needs a value, got '--model'"),
        (("--clean", "clean", "--estimate", "enhanced", "--metrics", "pesq"), "unknown metric 'pesq': did you mean"),
        (("--clean", "clean", "--estimate", "enhanced", "-o", "clean"), "clean: holds other files"),
        (("--clean", "clean", "--estimate", "enhanced", "-o", "mixtures.tsv"), "mixtures.tsv: is a file: give a folder"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(evaluate, words, message):
    Path("empty").mkdir()
    Path("strange").mkdir()
    soundfile.write("strange/z.wav", sound(0), RATE)
    words = words if "-o" in words else (*words, "-o", "results")
    status, out, err = evaluate(*words) if "--metrics" in words else evaluate(*words, "--metrics", "si-sdr")
    assert (status, out) == (2, "")
    assert err[-1].startswith(f"sgaudio: {message}")
    assert not Path("results/results.json").exists()


def test_a_peer_that_is_not_installed_is_one_line(evaluate, monkeypatch):
    monkeypatch.setattr("sgaudio.evaluation.peers.find_spec", lambda name: None)
    status, _, err = evaluate("--mixtures", "mixtures.tsv", "--against", "rnnoise", *OWN, "-o", "results")
    assert (status, err) == (2, ["sgaudio: peer 'rnnoise': pyrnnoise is not installed: pip install 'sgaudio[peers]'"])


def test_a_file_that_is_missing_costs_its_row_and_no_picture(evaluate):
    Path("mixtures.tsv").write_text(Path("mixtures.tsv").read_text() + "z\tclean/a.wav\tnone.wav\t0\t0\n")
    status, out, err = evaluate("--mixtures", "mixtures.tsv", "--estimate", "enhanced", *OWN, "--spectrograms", 9, "-o", "results")
    assert (status, len(out.splitlines())) == (1, 3)
    assert err[-1] == "evaluate: z, unprocessed: SI-SDR, LSD, level: none.wav: no such file or directory"
    assert not Path("results/spectrograms").exists()  # no mixture has an estimate of its name


def test_names_that_are_long_or_no_text_or_look_like_markup_are_only_names(tiny):
    names = ["x" * 250, "z[red]$a|b*", "two\u2028lines", os.fsdecode(b"caf\xe9")]
    for folder in ("odd", "even"):
        Path(folder).mkdir()
        for seed, name in enumerate(names):
            soundfile.write(os.fsencode(f"{folder}/{name}.wav"), sound(seed) + (folder == "even") * 0.1 * sound(9), RATE, subtype="FLOAT")
    words = ["evaluate", "--clean", "odd", "--estimate", "even", *OWN, "--spectrograms", "9", "-o", "results", "--jobs", "1"]
    parent, child = pty.openpty()  # a terminal, on which names are shown as they come
    shown = b""
    with subprocess.Popen([*PROGRAM, *words], stdout=subprocess.DEVNULL, stderr=child) as process:
        os.close(child)
        with suppress(OSError):  # how a terminal ends
            while block := os.read(parent, 10_000):
                shown += block
    os.close(parent)
    assert process.returncode == 0, shown
    assert len(list(Path("results/spectrograms").iterdir())) == 4
    assert json.loads(Path("results/results.json").read_text())["means"]["even"]["SI-SDR"]["files"] == 4
    again = subprocess.run([*PROGRAM, *words], capture_output=True, timeout=120)
    assert again.returncode == 0, again.stderr


def test_an_unfinished_evaluation_is_not_lost_to_another(evaluate):
    assert evaluate(*PAIRS, "-o", "results")[0] == 0
    for path in Path("results").iterdir():
        if path.name != "scores.jsonl":
            path.unlink()
    before = Path("results/scores.jsonl").read_bytes()
    other = ("--clean", "clean", "--estimate", "enhanced", *OWN, "-o", "results")
    status, _, err = evaluate(*other)
    assert (status, Path("results/scores.jsonl").read_bytes()) == (2, before)
    assert err[-1].startswith("sgaudio: results: holds an evaluation of other systems")
    assert evaluate(*other, "--overwrite")[0] == 0


@pytest.fixture
def busy(tiny):
    """A real command in the middle of its work on two processes, and its journal."""
    rows = ["id\tspeech\tnoise\tsnr_db", *(f"m{place}\tclean/a.wav\tclean/deep/b.wav\t{place}" for place in range(300))]
    Path("many.tsv").write_text("\n".join(rows) + "\n")
    words = [
        "evaluate",
        "--mixtures",
        "many.tsv",
        "--model",
        str(tiny),
        "--device",
        "cpu",
        "--steps",
        "8",
        *OWN,
        "-o",
        "results",
        "--jobs",
        "2",
    ]
    with subprocess.Popen([*PROGRAM, *words], stderr=subprocess.PIPE, text=True) as process:
        journal = Path("results/scores.jsonl")
        while process.poll() is None and not (journal.exists() and journal.read_text().count("\n") > 1):
            time.sleep(0.05)
        yield process, journal


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_leaves_what_is_finished(busy, sent, status):
    process, journal = busy
    process.send_signal(sent)
    err = process.stderr.read()
    assert process.wait() == status, err
    assert "Traceback" not in err
    finished = [json.loads(line) for line in journal.read_text().splitlines()][1:]
    assert 0 < len(finished) < 600
    assert not list(Path("results").glob(".sgaudio*"))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks the Linux kernel for the children")
def test_a_killed_command_takes_its_processes_along(busy):
    process, _ = busy
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while alive := [child for child in children if _is_alive(child)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)


def _is_alive(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
