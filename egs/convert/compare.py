"""Convert the checkpoint that the public code wrote, enhance the same sound with the same draws, compare: `public.py` is the other half.

python compare.py FOLDER...
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from public import draw

import sgaudio
from sgaudio.models.convert import convert

PRECISIONS = {"enhanced": "single", "double": "double"}  # in which the public code ran


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="what public.py wrote")
    print("| family | size | public code in | largest error | norm of the error |\n| --- | --- | --- | --- | --- |")
    for folder in parser.parse_args().folders:
        with np.load(folder / "run.npz") as run:
            facts, ours = json.loads(str(run["facts"])), enhanced(folder / "checkpoint.ckpt", run)
            for name in [name for name in PRECISIONS if name in run]:
                error, theirs = np.abs(ours - run[name]), np.abs(run[name])
                figures = f"{error.max() / theirs.max():.1e} | {np.linalg.norm(error) / np.linalg.norm(theirs):.1e}"
                print(f"| {facts['family']} | {facts['size']} | {PRECISIONS[name]} precision | {figures} |", flush=True)


def enhanced(checkpoint: Path, run: Any) -> np.ndarray:
    """What the converted checkpoint makes of the noisy sound of a run, (time)."""
    facts = json.loads(str(run["facts"]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        convert(checkpoint, path)
        model = sgaudio.load(path, device="cpu")
    noise = [draw(number, tuple(shape)).to(torch.complex64) for number, shape in enumerate(facts["draws"])]
    published = model.config.presets.get("public-code", model.config.sampling)  # a predictor alone has one way
    preset = replace(published, **facts["sampling"])
    return model.enhance(run["noisy"], int(run["rate"]), preset=preset, whole_file=True, noise=noise)


if __name__ == "__main__":
    main()
