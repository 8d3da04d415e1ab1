"""Checkpoints that the public code wrote, and what its own scripts made of a sound with them (`egs/convert/public.py`), against ours."""

import json
import math
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import sgaudio
from sgaudio.models.convert import convert

PUBLIC = Path(__file__).parents[1] / "golden" / "public"
FAMILIES = sorted(path.stem for path in PUBLIC.glob("*.ckpt"))


def draw(number: int, shape: tuple[int, ...]) -> torch.Tensor:
    """The rule by which the public code got its noise."""
    generator = np.random.Generator(np.random.Philox(key=zlib.crc32(f"noise/{number}".encode())))
    radius, turn = generator.random((2, *shape))
    return torch.from_numpy(np.sqrt(-np.log1p(-radius)) * np.exp(2j * math.pi * turn)).to(torch.complex64)


def test_there_is_a_checkpoint_of_each_published_family():
    assert {"sgmse-2022", "sgmse-48k", "bridge", "bridge-sde", "storm", "storm-score", "storm-denoiser", "bbed", "flowse"} <= set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_converted_checkpoint_makes_the_sound_that_the_public_script_makes(family: str, tmp_path: Path):
    run = np.load(PUBLIC / f"{family}.npz")
    facts = json.loads(str(run["facts"]))
    convert(PUBLIC / f"{family}.ckpt", tmp_path / "model.safetensors")
    model = sgaudio.load(tmp_path / "model.safetensors", device="cpu")
    noise = [draw(number, tuple(shape)) for number, shape in enumerate(facts["draws"])]
    preset = replace(model.config.presets.get("public-code", model.config.sampling), **facts["sampling"])
    ours = model.enhance(run["noisy"], int(run["rate"]), preset=preset, whole_file=True, noise=noise)
    # The published ODE of the bridge adds the noisy sound thousands of times and takes it away again: in single precision, its script
    # repeats itself to some 1e-3 only.
    theirs = run["double"] if "double" in run else run["enhanced"]
    assert ours.shape == theirs.shape == run["noisy"].shape
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()
