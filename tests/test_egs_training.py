"""What the scripts of egs/training, and of egs/speed for training, promise; on tiny networks and random sound."""

import csv
import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import sgaudio
from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.audio.windows import Windows
from sgaudio.models import Card, Enhancer, EnhancerConfig, Regenerator, RegeneratorConfig, Sampling, load, save
from sgaudio.nets import NCSNppConfig
from sgaudio.processes import OUVE, BridgeVE, FlowSE

EXAMPLES = Path(__file__).parents[1] / "egs"
RATE = 16_000
NETWORK = NCSNppConfig(channels=4, multipliers=(1, 2), blocks=1, attention=(), bins=32)
SHARED = {"spectrogram": Spectrogram(62, 16, 0.5, 0.15, "hann"), "windows": Windows(4096, 64, 64), "level": 1.0, "level_rule": "peak"}


def tone(seed: int, seconds: float) -> np.ndarray:
    """Something that comes and goes, (time)."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.1 * np.random.default_rng(seed).standard_normal(len(time)) * (1.1 + np.sin(2 * np.pi * 4 * time))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """speech/, noise.wav, rooms.tsv, mixtures.tsv, and models: score, bridge, flow, storm, regressor."""
    root = tmp_path_factory.mktemp("egs")
    (root / "speech").mkdir()
    for number, seconds in enumerate((0.7, 0.9, 1.2)):
        sgaudio.write(root / "speech" / f"{number}.wav", tone(number, seconds), RATE)
    sgaudio.write(root / "noise.wav", tone(9, 1.0), RATE)
    lines = ["id\tspeech\tnoise\tsnr_db", *(f"mix{i}\tspeech/{i}.wav\tnoise.wav\t{5 * i}" for i in range(3))]
    (root / "mixtures.tsv").write_text("\n".join(lines) + "\n")
    echo = 0.1 * tone(10, 0.4) * np.exp(-np.arange(round(0.4 * RATE)) / 800)
    echo[[5, 3205]] = 0.9
    sgaudio.write(root / "rooms.wav", echo, RATE)
    (root / "rooms.tsv").write_text("file\tstart\tstop\tdirect_sample\nrooms.wav\t0\t3200\t5\nrooms.wav\t3200\t6400\t5\n")
    steps = Sampling("dpmpp-2m", 2, "linear")
    configs = {
        "score": EnhancerConfig(NETWORK, OUVE(), sampling=steps, prediction="score", **SHARED),
        "bridge": EnhancerConfig(replace(NETWORK, division="never"), BridgeVE(), sampling=steps, prediction="data", **SHARED),
        "flow": EnhancerConfig(NETWORK, FlowSE(), sampling=steps, prediction="flow", **SHARED),
        "storm": RegeneratorConfig(
            replace(NETWORK, inputs=6), OUVE(), sampling=steps, prediction="score", predictor=NETWORK.as_denoiser(), **SHARED
        ),
        "regressor": EnhancerConfig(NETWORK.as_denoiser(), BridgeVE(), prediction="data", **SHARED),
    }
    torch.manual_seed(0)
    for name, config in configs.items():
        model = (Regenerator if isinstance(config, RegeneratorConfig) else Enhancer)(config)
        save(root / f"{name}.safetensors", model, Card(name, "A test.", "None.", "CC0-1.0", "none"))
    return root


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a script in this process, as a command would: its exit code, and what it says."""

    def run(name: str, *arguments: object) -> tuple[int, str]:
        path = EXAMPLES / name
        monkeypatch.syspath_prepend(str(path.parent))
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        for module in ("network", "scores", "solvers"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        code = 0
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def models(folder: Path, *names: str) -> list[Path]:
    return [folder / f"{name}.safetensors" for name in names]


def sweep(script, folder: Path, out: Path, *arguments: object) -> tuple[int, str]:
    plain = ("--mixtures", folder / "mixtures.tsv", "-o", out, "--device", "cpu", "--jobs", 0)
    return script("training/solvers.py", *arguments, *plain)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_model_is_swept_by_solvers_that_suit_it(script, folder: Path, tmp_path: Path):
    code, said = sweep(
        script, folder, tmp_path, *models(folder, "score", "bridge", "flow", "storm", "regressor"), "--quick", "--metrics", "si-sdr"
    )
    assert code == 0, said
    found = rows(tmp_path)
    assert {row["file"] for row in found} == {"mix0", "mix1"}
    solvers = {name: {row["solver"] for row in found if row["model"] == name} for name in ("score", "bridge", "flow", "storm", "regressor")}
    assert all(len(solvers[name]) >= 6 for name in ("score", "bridge", "flow", "storm"))
    assert "predictor-corrector" in solvers["score"]
    assert "bridge-sde" in solvers["bridge"]
    assert "euler" in solvers["flow"]
    assert "predictor" in solvers["storm"]
    assert solvers["regressor"] == {"predictor"}
    assert {row["calls"] for row in found if row["solver"] == "dpmpp-2m"} == {"1", "2"}
    assert {(row["steps"], row["calls"]) for row in found if row["solver"] == "predictor-corrector"} == {("1", "2")}
    assert all(np.isfinite(float(row["SI-SDR"])) for row in found)
    page = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| unprocessed |" in page
    assert "Its predictor by itself is" in page
    assert (tmp_path / "scores.png").stat().st_size > 10_000
    # one table, one sound: of the solvers that are the same in one call
    assert len({row["SI-SDR"] for row in found if row["model"] == "bridge" and row["calls"] == "1" and row["file"] == "mix0"}) == 1


def test_what_is_in_the_csv_is_not_done_again(script, folder: Path, tmp_path: Path):
    arguments = (*models(folder, "score"), "--quick", "--metrics", "si-sdr", "--solvers")
    assert sweep(script, folder, tmp_path, *arguments, "ddim")[0] == 0
    table = tmp_path / "scores.csv"
    marked = table.read_text().replace(rows(tmp_path)[-1]["SI-SDR"], "-123.456")
    table.write_text(marked + "score,0123,ddim,1,1,mix0,5,0.7")  # a line that an interruption cut
    code, said = sweep(script, folder, tmp_path, *arguments, "ddim", "dpmpp-2m-sde")
    assert (code, "2 estimates of 1 settings" in said) == (0, True), said  # of two calls: with one it is ddim
    assert any(row["SI-SDR"] == "-123.456" for row in rows(tmp_path))
    assert {row["solver"] for row in rows(tmp_path)} == {"unprocessed", "ddim", "dpmpp-2m-sde"}
    code, said = sweep(script, folder, tmp_path, *arguments, "ddim", "dpmpp-2m-sde")
    assert "0 estimates" in said


def test_time_that_is_up_leaves_a_whole_page(script, folder: Path, tmp_path: Path):
    code, said = sweep(script, folder, tmp_path, *models(folder, "bridge"), "--quick", "--metrics", "si-sdr", "--minutes", 0)
    assert (code, "are left for another run" in said) == (0, True)
    assert len(rows(tmp_path)) == 1
    assert "| – |" in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_sounds_side_by_side_are_what_they_are_alone(script, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(EXAMPLES / "training"))
    module = runpy.run_path(str(EXAMPLES / "training" / "solvers.py"))
    about = (str(folder / "bridge.safetensors"), "", "ddim", 2, 0, "cpu", "float32")
    setting = module["Setting"](
        "bridge", *about, way=module["Way"]("bridge", "", "ddim", 2, 2), table=str(folder / "mixtures.tsv"), count=3
    )
    together = module["estimates"](setting)
    model = load(folder / "bridge.safetensors", "cpu")
    for name, noisy in module["noisy_sounds"](setting.table, 3)[0].items():
        alone = module["enhanced"](setting, [noisy], RATE)[0]
        assert together[name].shape == noisy.shape
        np.testing.assert_allclose(together[name], alone, atol=1e-6)
        plain = model.enhance(noisy, RATE, solver="ddim", steps=2)
        whole = RATE // 2 * (len(noisy) // (RATE // 2)) - 4096  # where no window reaches the end, nothing is mirrored
        np.testing.assert_allclose(alone[:whole], plain[:whole], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--solvers", "dimm"], "unknown solver 'dimm': did you mean 'ddim'"),
        (["--solvers", "bridge-sde"], "it does not start in the noisy sound itself"),
        (["--files", "4"], "--files is 4, expected 1 to 3, what"),
        (["--against", "wpee"], "unknown peer 'wpee'"),
    ],
)
def test_wrong_use_is_told(script, folder: Path, tmp_path: Path, arguments: list[str], message: str):
    code, said = sweep(script, folder, tmp_path, *models(folder, "score"), "--metrics", "si-sdr", "--calls", 1, *arguments)
    assert (code, message in said) == (2, True), said


def test_two_models_of_one_name_are_refused(script, folder: Path, tmp_path: Path):
    code, said = sweep(script, folder, tmp_path, *models(folder, "score", "score"), "--quick", "--metrics", "si-sdr")
    assert (code, "a model called 'score' is there already" in said) == (2, True)


def test_a_solver_that_does_not_take_the_process_is_left_out_with_its_reason(script, folder: Path, tmp_path: Path):
    arguments = ("--quick", "--metrics", "si-sdr", "--solvers", "bridge-sde", "ddim")
    code, said = sweep(script, folder, tmp_path, *models(folder, "score"), *arguments)
    assert (code, "score: solver 'bridge-sde' on OUVE: " in said, "left out" in said) == (0, True, True)
    assert {row["solver"] for row in rows(tmp_path)} == {"unprocessed", "ddim"}


def test_dereverberation_by_other_processes(folder: Path, tmp_path: Path):
    pytest.importorskip("nara_wpe")
    command = [sys.executable, EXAMPLES / "training" / "dereverberation.py", folder / "storm.safetensors"]
    command += ["--rooms", folder / "rooms.tsv", "--speech", folder / "speech", "-o", tmp_path, "--device", "cpu", "--jobs", "1"]
    command += ["--quick", "--metrics", "si-sdr", "--solvers", "ddim"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "mixtures.tsv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 3
    assert [line.split("\t")[5] for line in lines[1:]] == ["0", "3200"] * 3
    assert {row["solver"] for row in rows(tmp_path)} == {"unprocessed", "wpe", "predictor", "ddim"}
    assert all(row["SI-SDR"] for row in rows(tmp_path))


def test_dereverberation_without_speech_is_refused(script, folder: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    arguments = ("--rooms", folder / "rooms.tsv", "--speech", tmp_path / "empty", "-o", tmp_path / "out", "--device", "cpu")
    code, said = script("training/dereverberation.py", *models(folder, "storm"), *arguments)
    assert (code, "no sound in it" in said) == (2, True)


def test_a_curve_lies_beside_other_systems(script, tmp_path: Path):
    entries = [{"seconds": 60 * i, "text": "validation", "after": 10 * i, "solver steps": None, **gained(i / 10)} for i in (2, 5)]
    entries += [{"seconds": 1, "text": "step 0", "loss": 1.0}, {**entries[-1], "solver steps": 4}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    scores = [{"system": name, "snr_db": snr, **gained(part)} for name, part in (("unprocessed", 0), ("other", 1)) for snr in (0, 5)]
    scores.append({"system": "other", "snr_db": -5, **gained(9)})
    with (tmp_path / "scores.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, scores[0])
        table.writeheader()
        table.writerows(scores)
    arguments = (tmp_path / "log.jsonl", "--scores", tmp_path / "scores.csv", "-o", tmp_path / "curve")
    code, said = script("training/curve.py", *arguments, "--snr", 0, 15)
    assert code == 0, said
    assert "after 5.0 minutes, 50 steps: PESQ-wb 2.000, ESTOI 0.550, SI-SDR 6.000" in said
    assert "of its gain: 50 % in PESQ-wb, 50 % in ESTOI, 50 % in SI-SDR" in said
    assert (tmp_path / "curve" / "curve.png").stat().st_size > 10_000
    assert len((tmp_path / "curve" / "curve.csv").read_text().splitlines()) == 3
    assert script("training/curve.py", *arguments, "--snr", 90, 99)[0] == 2


def gained(part: float) -> dict[str, float]:
    """Scores so far between 1, 0.1, 1 and 3, 1, 11."""
    return {"PESQ-wb": 1 + 2 * part, "ESTOI": 0.1 + 0.9 * part, "SI-SDR": 1 + 10 * part}


def test_our_training_step_is_timed_and_profiled(script, tmp_path: Path):
    arguments = ("--device", "cpu", "--tiny", "--forms", "float32", "bfloat16")
    code, said = script("speed/training.py", *arguments, "--output", tmp_path / "results" / "step.json")
    assert code == 0, said
    results = json.loads((tmp_path / "results" / "step.json").read_text())["results"]
    assert [row["step"] for row in results] == ["ours, float32", "ours, bfloat16"]
    for row in results:  # a new network says next to nothing: half of |n|^2 = 1 a bin
        assert row["losses"][0] == pytest.approx(256 * 64 / 2, rel=0.03)
        assert row["losses"][-1] != row["losses"][0]
    code, said = script("speed/training.py", *arguments, "--profile")
    assert (code, "convolution" in said) == (0, True)


def test_the_data_path_is_timed(script, tmp_path: Path):
    arguments = ("--synthetic", "--device", "cpu", "--tiny", "--batch", 4, "--output", tmp_path / "results" / "path.json")
    code, said = script("speed/data_path.py", *arguments)
    assert code == 0, said
    results = json.loads((tmp_path / "results" / "path.json").read_text())["results"]
    assert [row["mixing"] for row in results] == ["no rooms", "rooms for half of the items"]
    assert all(row["sound_per_second"] > 0 for row in results)


def test_the_data_path_needs_a_corpus_or_is_told_to_make_one(script):
    assert script("speed/data_path.py", "--device", "cpu")[0] == 2
