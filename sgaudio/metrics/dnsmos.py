"""DNSMOS P.835 (Reddy, Gopal, Cutler 2021, 2110.01763): what listeners would say of speech, background and the whole."""

from functools import lru_cache
from typing import Any

import numpy as np

NAMES = {"SIG": "sig_mos", "BAK": "bak_mos", "OVRL": "ovrl_mos"}


def dnsmos(estimate: np.ndarray, reference: np.ndarray | None, sample_rate: int) -> dict[str, float]:
    """SIG, BAK and OVRL, 1 to 5. Samples beyond full scale are clipped, as by a converter; sound below nine seconds is repeated."""
    judged = _model()(np.clip(estimate, -1, 1), sample_rate, False)
    return {name: float(judged[key]) for name, key in NAMES.items()}


@lru_cache
def _model() -> Any:
    """The package's networks, on one thread: files are judged side by side."""
    from pathlib import Path

    import onnxruntime  # pyright: ignore[reportMissingImports] - of an extra, as the next
    from speechmos import dnsmos  # pyright: ignore[reportMissingImports]

    folder = Path(dnsmos.__file__).parent / "dnsmos_models"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    judge: Any = dnsmos.DNSMOS(str(folder / "sig_bak_ovr.onnx"), str(folder / "model_v8.onnx"))
    for name, file in (("onnx_sess", "sig_bak_ovr.onnx"), ("p808_onnx_sess", "model_v8.onnx")):
        setattr(judge, name, onnxruntime.InferenceSession(str(folder / file), options))
    return judge
