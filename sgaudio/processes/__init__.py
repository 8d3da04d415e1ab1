"""Processes: how clean sound becomes noisy. One process a file; `base` says what a process is, `prediction` what networks say of it."""

from sgaudio.processes.base import Node, Process, Slope, sde, time_at
from sgaudio.processes.bbed import BBED
from sgaudio.processes.bridge_ve import BridgeVE
from sgaudio.processes.bridge_vp import BridgeVP
from sgaudio.processes.brownian_bridge import BrownianBridge
from sgaudio.processes.ddpm import DDPM
from sgaudio.processes.edm import EDM
from sgaudio.processes.flowse import FlowSE
from sgaudio.processes.ouve import OUVE
from sgaudio.processes.ouvp import OUVP
from sgaudio.processes.prediction import PREDICTIONS, Conversion, Prediction, denoiser
from sgaudio.processes.rectified_flow import RectifiedFlow
from sgaudio.processes.resshift import ResShift
from sgaudio.processes.ve import VE
from sgaudio.processes.vp import VP
from sgaudio.registry import Registry

PROCESSES = Registry[type[Process]](
    "process",
    {
        "ouve": OUVE,
        "ouvp": OUVP,
        "bridge-ve": BridgeVE,
        "bridge-vp": BridgeVP,
        "bbed": BBED,
        "brownian-bridge": BrownianBridge,
        "flowse": FlowSE,
        "resshift": ResShift,
        "vp": VP,
        "ve": VE,
        "edm": EDM,
        "ddpm": DDPM,
        "rectified-flow": RectifiedFlow,
    },
)

__all__ = [
    "BBED",
    "DDPM",
    "EDM",
    "OUVE",
    "OUVP",
    "PREDICTIONS",
    "PROCESSES",
    "VE",
    "VP",
    "BridgeVE",
    "BridgeVP",
    "BrownianBridge",
    "Conversion",
    "FlowSE",
    "Node",
    "Prediction",
    "Process",
    "RectifiedFlow",
    "ResShift",
    "Slope",
    "denoiser",
    "sde",
    "time_at",
]
