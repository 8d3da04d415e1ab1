"""Networks, one a file. They know neither process nor file: tensors in, tensors out."""

from collections.abc import Callable
from typing import Any

from torch import nn

from sgaudio.nets.band_dit import BandDiT, BandDiTConfig
from sgaudio.nets.ncsnpp import NCSNpp, NCSNppConfig
from sgaudio.registry import Registry

NetworkConfig = BandDiTConfig | NCSNppConfig

CONFIGS = Registry("network", {"band-dit": BandDiTConfig, "ncsnpp": NCSNppConfig})
NETWORKS = Registry[Callable[[Any], nn.Module]]("network", {"band-dit": BandDiT, "ncsnpp": NCSNpp})


def make_network(config: NetworkConfig) -> nn.Module:
    """A new network of the sizes in `config`."""
    return NETWORKS[CONFIGS.name_of(config)](config)


__all__ = ["CONFIGS", "NETWORKS", "BandDiT", "BandDiTConfig", "NCSNpp", "NCSNppConfig", "NetworkConfig", "make_network"]
