"""Processes: how clean sound becomes noisy. One process a file; `base` says what a process is."""

from sgaudio.processes.base import Node, Process
from sgaudio.processes.bridge_ve import BridgeVE
from sgaudio.processes.ouve import OUVE
from sgaudio.registry import Registry

PROCESSES = Registry[type[Process]]("process", {"ouve": OUVE, "bridge-ve": BridgeVE})

__all__ = ["OUVE", "PROCESSES", "BridgeVE", "Node", "Process"]
