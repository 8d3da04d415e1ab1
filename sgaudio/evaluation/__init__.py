"""Evaluation: the same sounds by several systems, scored by several metrics, with intervals; what `sgaudio evaluate` does.

    if __name__ == "__main__":  # other processes import this script
        items, _ = pairs(Path("clean"), Path("noisy"))
        systems = [*models(["denoise"], steps=[1, 4]), Installed("rnnoise"), Unprocessed()]
        results = Evaluation(items, systems, ["pesq-wb", "si-sdr"]).run(Path("results"))

`results` has the scores; the folder has them as tables and pictures.
"""

from sgaudio.evaluation.evaluate import Evaluation
from sgaudio.evaluation.items import Item
from sgaudio.evaluation.pairing import given, mixed, pairs
from sgaudio.evaluation.results import Results
from sgaudio.evaluation.systems import Folder, Installed, Model, System, Unprocessed, folders, models

__all__ = [
    "Evaluation",
    "Folder",
    "Installed",
    "Item",
    "Model",
    "Results",
    "System",
    "Unprocessed",
    "folders",
    "given",
    "mixed",
    "models",
    "pairs",
]
