"""The command line: in this process where that shows the same, in a real one for pipes, signals and imports."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sgaudio import load
from sgaudio.audio.files import read, write
from sgaudio.cli import main
from sgaudio.models import Card, Enhancer, save
from sgaudio.models.convert.families import configuration
from sgaudio.nets.ncsnpp import NCSNpp, NCSNppConfig, published_keys
from sgaudio.solvers import SOLVERS

PROGRAM = [sys.executable, "-c", "from sgaudio.cli import main; main()"]
DRY = ("--strength", "0")  # what comes out is what went in


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture
def sgaudio(monkeypatch, capsys):
    """Run a command: (exit status, lines on standard output, lines on standard error)."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["sgaudio", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code, out.splitlines(), err.splitlines()

    return command


@pytest.fixture
def enhance(sgaudio, tiny):
    return lambda *arguments: sgaudio("enhance", "--model", tiny, "--device", "cpu", *arguments)


@pytest.fixture
def arguments(tiny):
    """Of a real process that enhances."""
    return [*PROGRAM, "enhance", "--model", str(tiny), "--device", "cpu"]


@pytest.fixture
def checkpoint():
    """A published checkpoint of SGMSE+, small, at 48 kHz."""
    options = {"backbone": "ncsnpp_48k", "nf": 4, "ch_mult": [1, 2], "num_res_blocks": 1, "n_fft": 30, "hop_length": 8}
    network = NCSNppConfig(4, (1, 2), blocks=1, attention=(), bins=16, progressive=False, division="after")
    weights = NCSNpp(network).state_dict()
    saved = {f"dnn.{theirs}": weights[ours] for theirs, ours in published_keys(network).items() if ours}
    torch.save({"epoch": 3, "global_step": 70, "state_dict": saved, "hyper_parameters": options}, "published.ckpt")
    return "published.ckpt"


def sound(channels: int = 1, frames: int = 9_000) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (channels, frames)).astype(np.float32)


def test_help_and_version_answer_without_torch_or_numpy():
    for words in (["--help"], ["enhance", "--help"], ["models", "--help"], ["solvers", "--help"], ["--version"]):
        program = (
            "import atexit, sys; sys.argv[1:] = " + repr(words) + "; from sgaudio.cli import main\n"
            "atexit.register(lambda: print({'torch', 'numpy', 'soundfile', 'matplotlib'} & set(sys.modules)))\n"
            "main()"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("set()\n")


def test_one_file_is_enhanced_with_a_first_line_and_a_summary(enhance):
    write("in.wav", sound(2), 48_000)
    status, out, err = enhance("in.wav", "-o", "out.wav")
    assert (status, out) == (0, [])
    assert err[0] == (
        "enhance: model 'tiny' at 16 kHz on cpu, 1 step of ddim, seed 0; in.wav: 48 kHz, 2 channels, "
        "above 8 kHz: follows the gain of the band below"
    )
    assert err[1].startswith("enhance: 1 file enhanced, 0.2 s of sound in ")
    assert err[1].endswith(" times real time")
    assert len(err) == 2
    found, rate = read("out.wav")
    assert (found.shape, rate) == ((2, 9_000), 48_000)


def test_the_first_line_says_what_was_asked_for(enhance):
    write("in.wav", sound(), 48_000)
    _, _, err = enhance("in.wav", "-o", "out.wav", "--high-band", "drop", "--solver", "dpmpp-2m", "--steps", "3", "--seed", "5")
    assert "3 steps of dpmpp-2m, seed 5" in err[0]
    assert err[0].endswith("above 8 kHz: dropped")
    write("narrow.wav", sound(), 8_000)
    _, _, err = enhance("narrow.wav", "-o", "out.flac")
    assert err[0].endswith("narrow.wav: 8 kHz, 1 channel")


def test_strength_and_attenuation_mix_the_sound_with_the_input(enhance):
    write("in.wav", sound(), 16_000)
    for name, options in {"wet": (), "dry": DRY, "zero": ("--max-attenuation", "0"), "half": ("--max-attenuation", "6.0206")}.items():
        assert enhance("in.wav", "-o", f"{name}.wav", *options)[0] == 0
    wet, dry, zero, half = (read(f"{name}.wav")[0] for name in ("wet", "dry", "zero", "half"))
    assert np.array_equal(dry, sound())
    assert np.array_equal(zero, sound())
    assert np.allclose(half, (wet + dry) / 2, atol=1e-5)
    assert not np.allclose(wet, dry, atol=1e-2)


def test_a_folder_is_enhanced_and_failures_are_listed_last(enhance):
    for name in ("songs/a.wav", "songs/sub/c.flac"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write(name, sound(), 16_000)
    Path("songs/b.wav").write_text("Dear diary")
    status, out, err = enhance("songs", "missing.wav", "-o", "out", "--report", "report.jsonl", *DRY)
    assert (status, out) == (1, [])
    assert "; songs/a.wav (first of 4): 16 kHz, 1 channel" in err[0]
    assert err[1].startswith("enhance: 2 files enhanced, 1.1 s of sound in ")
    assert err[1].endswith("; 2 failed:")
    assert err[2] == "enhance: songs/b.wav: no sound that can be read (Format not recognised)"
    assert err[3] == "enhance: missing.wav: no such file or directory"
    assert sorted(str(path) for path in Path("out").rglob("*.*")) == ["out/a.wav", "out/sub/c.flac"]
    lines = [json.loads(line) for line in Path("report.jsonl").read_text().splitlines()]
    assert [(line["input"], line["status"]) for line in lines] == [
        ("songs/a.wav", "done"),
        ("songs/b.wav", "failed"),
        ("songs/sub/c.flac", "done"),
        ("missing.wav", "failed"),
    ]


def test_a_folder_without_sound_fails(enhance):
    Path("empty").mkdir()
    status, _, err = enhance("empty", "-o", "out")
    assert status == 1
    assert err[-1] == "enhance: empty: no sound files in this folder"


def test_a_job_is_taken_up_again(enhance):
    Path("songs").mkdir()
    write("songs/a.wav", sound(), 16_000)
    write("songs/b.wav", sound(), 16_000)
    assert enhance("songs/a.wav", "-o", "out")[0] == 0
    before = Path("out/a.wav").read_bytes()
    assert enhance("songs", "-o", "out")[0] == 2
    status, _, err = enhance("songs", "-o", "out", "--skip-existing", *DRY)
    assert status == 0
    assert err[-1].endswith("; 1 skipped (output exists)")
    assert Path("out/a.wav").read_bytes() == before
    assert enhance("songs", "-o", "out", "--overwrite", *DRY)[0] == 0
    assert np.array_equal(read("out/a.wav")[0], sound())


def test_warnings_are_counted_in_one_line(enhance):
    write("in.wav", np.array([np.nan, 2.0, -2.0, 0.1]), 16_000)
    status, _, err = enhance("in.wav", "-o", "out.flac", *DRY)
    assert status == 0
    assert err[1:3] == [
        "enhance: in.wav: NaN or infinite samples replaced by zeros: 1",
        "enhance: in.wav: samples beyond full scale clamped: 2",
    ]
    status, _, err = enhance("in.wav", "-o", "out.wav", "--nan", "fail")
    assert status == 1
    assert "NaN or infinite" in err[-1]


def test_a_picture_before_and_after_is_drawn(enhance):
    write("in.wav", sound(2, 40_000), 44_100)
    assert enhance("in.wav", "-o", "out.wav", "--plot", "picture.png")[0] == 0
    assert Path("picture.png").read_bytes().startswith(b"\x89PNG")
    status, _, err = enhance("in.wav", "-o", "again.wav", "--plot", "picture.png")
    assert (status, err) == (2, ["sgaudio: picture.png: exists: use --overwrite"])
    assert enhance("in.wav", "out.wav", "-o", "out", "--plot", "other.png")[0] == 2
    assert enhance("in.wav", "-o", "again.wav", "--plot", "picture.jpg")[0] == 2


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (("--solver", "dimm"), "unknown solver 'dimm': did you mean 'ddim'"),
        (("--steps", "0"), "steps is 0, expected 1 to 1000"),
        (("--strength", "1.5"), "strength is 1.5, expected 0 to 1"),
        (("--max-attenuation", "-3"), "max_attenuation is -3.0, expected 0 dB or more"),
        (("--high-band", "folow"), "high_band is 'folow', expected one of 'follow', 'drop'"),
        (("--nan", "none"), "nan is 'none', expected one of 'zero', 'fail'"),
        (("--device", "cup"), "unknown device 'cup': did you mean 'cpu'"),
        (("--dtype", "bfloat"), "unknown dtype 'bfloat': did you mean 'bfloat16'"),
        (("--batch", "0"), "batch"),
        (("--seed", "-1"), "seed is -1"),
        (("--sovler", "ddim"), "No such option: --sovler"),
        (("--steps", "two"), "Invalid value for '--steps'"),
        (("--preset", "paper"), "model 'tiny' has no preset 'paper': it has none"),
        (("--model", "denoies"), "unknown model 'denoies': did you mean 'denoise'"),
        (("--model", "lost.safetensors"), "lost.safetensors: no such model file"),
        (("--model", "in.wav"), "not a safetensors file"),
        (("--plot", "missing/picture.png"), "there is no folder missing"),
        (("--report", "in.wav"), "is the name of a sound"),
        (("--report", "missing/report.jsonl"), "cannot be written"),
        (("--overwrite", "--skip-existing"), "exclude each other"),
        (("-o", "in.wav", "--overwrite"), "is an input"),
    ],
)
def test_wrong_use_gives_one_line_and_exit_status_2(enhance, options, answer):
    write("in.wav", sound(), 16_000)
    status, out, err = enhance("in.wav", "-o", "out.wav", *options)
    assert (status, out, len(err)) == (2, [], 1)
    assert answer in err[0]
    assert [path.name for path in Path().iterdir()] == ["in.wav"]


def test_unknown_commands_and_missing_arguments_are_wrong_use(sgaudio):
    assert sgaudio("enhace")[0::2] == (2, ["sgaudio: No such command 'enhace'. Did you mean 'enhance'?"])
    assert sgaudio("enhance", "in.wav")[0] == 2
    assert sgaudio()[0] == 2


def test_models_are_listed_and_shown(sgaudio, tiny):
    status, out, _ = sgaudio("models")
    assert status == 0
    assert any(line.startswith("denoise") for line in out)
    assert sgaudio("models", "list")[1] == out
    status, out, _ = sgaudio("models", "show", tiny)
    assert status == 0
    assert {"name: tiny", "licence: CC0-1.0", "training data: None.", "sample rate: 16000 Hz"} <= set(out)
    assert sgaudio("models", "show", "denoies")[0] == 2


def test_a_published_checkpoint_becomes_a_model_that_says_what_it_is(sgaudio, checkpoint):
    told = ("--name", "dry", "--task", "dereverberate", "--training-data", "EARS-Reverb", "--licence", "CC-BY-NC-4.0")
    assert sgaudio("models", "convert", checkpoint, "-o", "dry.safetensors", *told) == (
        0,
        [],
        [
            "convert: published.ckpt: there is no moving average in it: its last weights are taken",
            "convert: dry.safetensors: SGMSE+, epoch 3, step 70; see sgaudio models show dry.safetensors",
        ],
    )
    status, out, err = sgaudio("models", "show", "dry.safetensors")
    assert (status, err) == (0, [])
    assert {
        "name: dry",
        "task: dereverberate",
        "summary: SGMSE+, epoch 3, step 70",
        "training data: EARS-Reverb",
        "licence: CC-BY-NC-4.0",
        "recipe: converted from published.ckpt",
        "process: ouve, theta 1.5, sigma min 0.05, sigma max 0.5",
        "prediction: score",
        "spectrogram: window 30, hop 8, exponent 0.5, factor 0.15, shape hann",
        "sample rate: 48000 Hz",
    } <= set(out)
    rows = dict(line.split(": ", 1) for line in out)
    assert rows["network"].startswith("ncsnpp, channels 4, multipliers [1, 2], blocks 1, bins 16, inputs 4, ")
    assert rows["sampling"].startswith("solver dpmpp-2m-sde, steps 10, grid linear, ")
    for preset, rule in {"paper": "sgmse-2022", "public-code": "sgmse"}.items():
        assert rows[f"preset {preset}"].startswith("solver predictor-corrector, steps 30, grid linear, ")
        assert rows[f"preset {preset}"].endswith(f", solver options compat {rule}, snr 0.5")
    assert rows["parameters"].endswith(" million")


def test_options_of_a_prediction_are_shown(sgaudio):
    options = {"backbone": "ncsnpp_v2", "nf": 4, "ch_mult": [1], "n_fft": 30, "hop_length": 8, "attn_resolutions": [], "c_in": "edm"}
    model = Enhancer(configuration({**options, "loss_type": "denoiser"}, {"dnn": 4}))
    save("v2.safetensors", model, Card("v2", "A test.", "None.", "CC0-1.0", "none"))
    out = sgaudio("models", "show", "v2.safetensors")[1]
    assert {"prediction: sgmse", "prediction options: predicts mean, scaling none, c in edm"} <= set(out)


@pytest.mark.parametrize(
    ("source", "options", "answer"),
    [
        ("foreign.ckpt", (), "foreign.ckpt: a file of PyTorch, but no checkpoint of Lightning: 'model'; expected 'state_dict'"),
        ("diary.ckpt", (), "diary.ckpt: no zip, but a checkpoint of PyTorch is a zip"),
        ("lost.ckpt", (), "lost.ckpt: no such file"),
        ("published.ckpt", ("--task", "denoies"), "unknown task 'denoies': did you mean 'denoise'"),
        ("published.ckpt", ("--stage", "both"), "stage is 'both', expected one of all, predictor"),
        ("published.ckpt", ("--stage", "predictor"), "published.ckpt: has one stage alone"),
        ("published.ckpt", ("-o", "diary.ckpt"), "diary.ckpt: a name that ends in .safetensors is expected"),
        ("published.ckpt", ("-o", "old.safetensors"), "old.safetensors: exists: use --overwrite"),
        ("published.ckpt", ("-o", "lost/new.safetensors"), "there is no folder lost"),
    ],
)
def test_what_cannot_be_converted_gives_one_line_and_exit_status_2(sgaudio, checkpoint, source, options, answer):
    Path("diary.ckpt").write_text("Dear diary")
    Path("old.safetensors").write_text("old")
    torch.save({"model": torch.ones(1)}, "foreign.ckpt")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    status, out, err = sgaudio("models", "convert", source, "-o", "new.safetensors", *options)
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith("sgaudio: ")
    assert answer in err[0]
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_a_way_of_sampling_is_chosen_by_its_name(sgaudio, checkpoint):
    assert sgaudio("models", "convert", checkpoint, "-o", "m.safetensors")[0] == 0
    write("in.wav", sound(1, 400), 48_000)
    command = ("enhance", "in.wav", "--model", "m.safetensors", "--device", "cpu", "--overwrite", "-o")
    for options, said in {
        (): "10 steps of dpmpp-2m-sde",
        ("--preset", "public-code"): "30 steps of predictor-corrector",
        ("--preset", "paper", "--steps", "2"): "2 steps of predictor-corrector",
    }.items():
        status, _, err = sgaudio(*command, "out.wav", *options)
        assert status == 0
        assert f"on cpu, {said}, seed 0" in err[0]
    assert sgaudio(*command, "none.wav", "--preset", "papr") == (
        2,
        [],
        ["sgaudio: model 'published' has no preset 'papr': did you mean 'paper'?"],
    )
    assert not Path("none.wav").exists()


def test_a_sound_is_taken_in_one_piece_where_asked(enhance, tiny):
    write("in.wav", sound(2), 16_000)
    model = load(tiny, device="cpu")
    for options, whole_file in {(): False, ("--whole-file",): True}.items():
        assert enhance("in.wav", "-o", f"{whole_file}.wav", *options)[0] == 0
        assert np.array_equal(read(f"{whole_file}.wav")[0], model.enhance(sound(2), 16_000, whole_file=whole_file))
    assert not np.allclose(read("True.wav")[0], read("False.wav")[0], atol=1e-2)


@pytest.mark.filterwarnings("default:bfloat16")
def test_a_dtype_that_the_cpu_lacks_is_not_taken_silently(enhance, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    write("in.wav", sound(), 16_000)
    status, _, err = enhance("in.wav", "-o", "out.wav", "--dtype", "bfloat16")
    assert status == 0
    assert err[0] == "enhance: bfloat16 is not computed by this CPU, which would be hundreds of times slower: float32 is used"
    assert err[1].startswith("enhance: model 'tiny' ")


def test_solvers_are_listed_with_order_evaluations_and_noise(sgaudio):
    status, out, _ = sgaudio("solvers")
    assert status == 0
    rows = {line.split()[0]: line.split()[1:4] for line in out if line and not line.startswith(" ")}
    assert rows["ddim"][:2] == ["1", "1"]
    assert rows["dpmpp-2m"] == ["2", "1", "no"]
    assert rows["predictor-corrector"] == ["-", "2", "yes"]
    assert set(SOLVERS) < set(rows)
    assert any(line.startswith("all: ouve, ") for line in out)
    assert "…" not in "".join(out)  # a name that is cut cannot be copied


@pytest.mark.parametrize("size", [None, 0xFFFF_FFFF])
def test_a_pipe_of_unknown_length_goes_through(arguments, size):
    file = io.BytesIO()
    soundfile.write(file, sound(2).T, 16_000, format="WAV", subtype="PCM_24")
    content = bytearray(file.getvalue())
    if size is not None:
        place = content.find(b"data") + 4
        content[place : place + 4] = size.to_bytes(4, "little")
    done = subprocess.run([*arguments, "-", "-o", "-", *DRY], input=content, capture_output=True, check=True)
    assert done.stdout[4:8] == b"\xff\xff\xff\xff"
    assert done.stdout[44:] == bytes(content[content.find(b"data") + 8 :])
    assert b"standard input: 16 kHz, 2 channels" in done.stderr


def test_a_pipe_that_does_not_wait_goes_through(arguments):
    write("in.wav", sound(1, 100_000), 16_000)
    source, sink = os.pipe()
    os.set_blocking(source, False)
    with subprocess.Popen([*arguments, "-", "-o", "out.wav", *DRY], stdin=source, stderr=subprocess.PIPE) as process:
        os.close(source)
        with open(sink, "wb") as pipe:  # noqa: PTH123
            pipe.write(Path("in.wav").read_bytes())
        assert process.wait() == 0, process.stderr and process.stderr.read()
    assert np.array_equal(read("out.wav")[0], sound(1, 100_000))


def test_what_is_no_wav_in_a_pipe_fails_with_one_line(arguments):
    done = subprocess.run([*arguments, "-", "-o", "-"], input=b"Dear diary", capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"standard input: half a WAV header" in done.stderr.splitlines()[-1]


def test_a_reader_that_goes_away_ends_the_program_quietly(arguments):
    write("in.wav", sound(1, 200_000), 16_000)
    with subprocess.Popen([*arguments, "in.wav", "-o", "-", *DRY], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait() == 1
        assert len(process.stderr.read().splitlines()) == 1


@pytest.mark.parametrize(("number", "status", "line"), [(signal.SIGINT, 130, b"sgaudio: interrupted\n"), (signal.SIGTERM, 143, b"")])
def test_an_interruption_leaves_no_half_file(arguments, number, status, line):
    with subprocess.Popen([*arguments, "-", "-o", "out.wav"], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        file = io.BytesIO()
        soundfile.write(file, sound().T, 16_000, format="WAV")
        process.stdin.write(file.getvalue()[:10_000])
        process.stdin.flush()
        assert b"enhance: model" in process.stderr.readline()
        process.send_signal(number)
        assert process.wait() == status
        assert process.stderr.read() == line
    assert not list(Path().iterdir())


def test_progress_is_shown_on_a_terminal_and_sound_is_not(arguments):
    write("in.wav", sound(1, 64_000), 16_000)
    terminal, far_end = pty.openpty()
    done = subprocess.run([*arguments, "in.wav", "-o", "out.wav"], stderr=far_end, check=True, env={**os.environ, "TERM": "xterm"})
    os.close(far_end)
    shown = b""
    while b"enhanced" not in shown:
        shown += os.read(terminal, 65_536)
    os.close(terminal)
    assert done.returncode == 0
    assert b"4 of 4 s" in shown
    terminal, far_end = pty.openpty()
    refused = subprocess.run([*arguments, "in.wav", "-o", "-"], stdout=far_end, stderr=subprocess.PIPE)
    os.close(far_end)
    os.close(terminal)
    assert (refused.returncode, refused.stderr) == (2, b"sgaudio: standard output is a terminal: pipe it into a program or a file\n")
