"""A recipe's section `data` becomes a source of batches."""

import pytest
import soundfile
import torch

from sgaudio.errors import ConfigError
from sgaudio.training.mixing import MixingConfig
from sgaudio.training.sources import DATA, MixingData, PairsData, make_source

from .conftest import RATE, hiss, tone

CONFIGS = [
    {"name": "mixing", "clean": "clean", "noise": "noise"},
    {"name": "mixing", "clean": "clean", "noise": "noise", "keep": "disk", "workers": 0},
    {"name": "pairs", "clean": "clean", "noisy": "noise"},
]


@pytest.fixture
def root(tmp_path):
    for i in range(5):
        for folder, sound in {"clean": tone(0.3), "noise": hiss(0.3)}.items():
            (tmp_path / folder).mkdir(exist_ok=True)
            soundfile.write(tmp_path / folder / f"{i}.wav", sound, RATE)
    return str(tmp_path)


def test_a_name_picks_the_kind():
    assert DATA.build(CONFIGS[0]) == MixingData("clean", "noise")
    assert DATA.build(CONFIGS[2]) == PairsData(clean="clean", noisy="noise")
    with pytest.raises(ConfigError, match="unknown data 'pair': did you mean 'pairs'"):
        DATA.build({"name": "pair"})
    with pytest.raises(ConfigError, match="data 'mixing' has no option 'nose': did you mean 'noise'"):
        DATA.build({"name": "mixing", "clean": "clean", "nose": "noise"})


@pytest.mark.parametrize("config", CONFIGS)
def test_every_source_gives_batches_of_the_asked_form_the_same_every_time(root, config):
    def batches():
        source = make_source(
            DATA.build({**config, "root": root}),
            MixingConfig(),
            sample_rate=RATE,
            level=0.1,
            batch=3,
            seconds=0.25,
            device=torch.device("cpu"),
        )
        return [source.batch(step, torch.Generator().manual_seed(step)) for step in range(2)], source

    found, source = batches()
    for clean, noisy in found:
        assert clean.shape == noisy.shape == (3, 2000)
        assert torch.isfinite(clean).all()
        assert torch.isfinite(noisy).all()
    assert not torch.equal(found[0].noisy, found[1].noisy)
    again, _ = batches()
    assert all(torch.equal(a, b) for one, other in zip(found, again, strict=True) for a, b in zip(one, other, strict=True))
    assert source.items(0, torch.Generator())
    (item,) = source.validation()
    clean, noisy, rate = item.load()
    assert rate == RATE
    assert clean.shape == noisy.shape == (2400,)
    assert "to validate on 1" in str(source)
