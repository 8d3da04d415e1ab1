import signal

import pytest
import torch
from hypothesis import settings

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it, and so would all that tests start and interrupt
torch.set_num_threads(1)  # tiny tensors are slower on several
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The file of a model with random weights, for all that does not depend on what a model does."""
    from sgaudio.audio.spectrogram import Spectrogram
    from sgaudio.audio.windows import Windows
    from sgaudio.models import Card, Enhancer, EnhancerConfig, Sampling, save
    from sgaudio.nets import BandDiTConfig
    from sgaudio.processes import BridgeVE

    torch.manual_seed(0)
    config = EnhancerConfig(
        network=BandDiTConfig(width=8, depth=1, heads=2, bands=(1, 8, 8, 16)),
        process=BridgeVE(c=0.1),
        spectrogram=Spectrogram(64, 32),
        windows=Windows(4096, 256, 512),
        sampling=Sampling("ddim", steps=1, solver_options={"eta": 1.0}),
    )
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save(path, Enhancer(config), Card(name="tiny", summary="A test.", training_data="None.", licence="CC0-1.0", recipe="none"))
    return path
