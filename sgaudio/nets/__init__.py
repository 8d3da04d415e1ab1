"""Networks, one a file. They know neither process nor file: tensors in, tensors out."""

from torch import nn

from sgaudio.nets.band_dit import BandDiT, BandDiTConfig
from sgaudio.registry import Registry

CONFIGS = Registry("network", {"band-dit": BandDiTConfig})
NETWORKS = Registry("network", {"band-dit": BandDiT})


def make_network(config: BandDiTConfig) -> nn.Module:
    """A new network of the sizes in `config`."""
    return NETWORKS[CONFIGS.name_of(config)](config)


__all__ = ["CONFIGS", "NETWORKS", "BandDiT", "BandDiTConfig", "make_network"]
