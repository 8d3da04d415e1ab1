"""What is compared: folders of estimates, our models, installed peers, and the noisy sound as it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from sgaudio.audio.files import read
from sgaudio.audio.picture import as_text
from sgaudio.errors import AudioError, ConfigError
from sgaudio.evaluation.items import Item, Sounds
from sgaudio.evaluation.peers import PEERS
from sgaudio.models import Enhancer, describe, load

UNPROCESSED = "unprocessed"


class Estimate(NamedTuple):
    """Of one item: waveform, float32 (channel, time), and its rate in Hz."""

    waveform: np.ndarray
    sample_rate: int


class System(Protocol):
    """One of what is compared."""

    @property
    def name(self) -> str:
        """As it stands in tables."""
        ...

    def about(self) -> dict[str, Any]:
        """All that its estimates depend on, as plain values."""
        ...

    def files(self, item: Item) -> tuple[Path, ...]:
        """Files of its own that the estimate of an item is read from."""
        ...

    def estimate(self, item: Item, sounds: Sounds) -> Estimate:
        """Its estimate of the clean sound of an item.

        Raises:
            AudioError: where it has none.
        """
        ...


@dataclass(frozen=True)
class Folder:
    """Estimates that lie in a folder."""

    name: str
    root: Path

    def about(self) -> dict[str, Any]:
        return {"kind": "folder"}

    def files(self, item: Item) -> tuple[Path, ...]:
        return tuple(file for root, file in item.estimates if root == self.root)

    def estimate(self, item: Item, sounds: Sounds) -> Estimate:
        files = self.files(item)
        if not files:
            raise AudioError(f"no estimate in {self.root}")
        return Estimate(*read(files[0]))


@dataclass(frozen=True)
class Model:
    """A model of ours, with a way of sampling it."""

    name: str
    model: str
    sha256: str
    solver: str
    steps: int
    seed: int
    device: str
    dtype: str

    def about(self) -> dict[str, Any]:
        return {"kind": "model", **{key: value for key, value in asdict(self).items() if key != "name"}}

    def files(self, item: Item) -> tuple[Path, ...]:
        return ()

    def estimate(self, item: Item, sounds: Sounds) -> Estimate:
        noisy, rate = _noisy(sounds)
        enhancer = _enhancer(self.model, self.device, self.dtype)
        estimate: Any = enhancer.enhance(noisy, rate, solver=self.solver, steps=self.steps, seed=self.seed)
        return Estimate(estimate, rate)


@dataclass(frozen=True)
class Installed:
    """A peer."""

    name: str

    def about(self) -> dict[str, Any]:
        return {"kind": "peer", "packages": PEERS[self.name].versions()}

    def files(self, item: Item) -> tuple[Path, ...]:
        return ()

    def estimate(self, item: Item, sounds: Sounds) -> Estimate:
        noisy, rate = _noisy(sounds)
        return Estimate(PEERS[self.name](noisy, rate), rate)


@dataclass(frozen=True)
class Unprocessed:
    """The noisy sound as it is."""

    name: str = UNPROCESSED

    def about(self) -> dict[str, Any]:
        return {"kind": "unprocessed"}

    def files(self, item: Item) -> tuple[Path, ...]:
        return ()

    def estimate(self, item: Item, sounds: Sounds) -> Estimate:
        return Estimate(*_noisy(sounds))


def folders(roots: Sequence[Path]) -> list[Folder]:
    """Folders of estimates, called by the parts of their paths that tell them apart.

    Raises:
        ConfigError: where one is given twice.
    """
    parts = [root.resolve().parts for root in roots]
    if len(set(parts)) < len(parts):
        raise ConfigError("--estimate: a folder is given twice")
    depth = 1
    while len({path[-depth:] for path in parts}) < len(parts):
        depth += 1
    return [Folder(as_text("/".join(path[-depth:])), root) for path, root in zip(parts, roots, strict=True)]


def models(
    names: Sequence[str],
    solvers: Sequence[str] = (),
    steps: Sequence[int] = (),
    *,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "float32",
) -> list[Model]:
    """Each of the models with each of the solvers and numbers of steps; without one, with the model's own.

    Raises:
        ConfigError, CheckpointError: where a model cannot be loaded, or does not take one of these.
    """
    found = []
    for name in names:
        enhancer = load(name, device, dtype)
        about = describe(name)
        for solver in solvers or [None]:
            for count in steps or [None]:
                enhancer.stream(enhancer.sample_rate, solver=solver, steps=count, seed=seed)  # a wrong option is told before anything runs
                sampling = enhancer.sampling(solver, count)
                label = [about["card"]["name"]]
                label += [sampling.solver] if solver else []
                label += [f"{sampling.steps} step{'s' * (sampling.steps > 1)}"] if count else []
                rest = (about["sha256"], sampling.solver, sampling.steps, seed, str(enhancer.device), dtype)
                found.append(Model(", ".join(label), str(name), *rest))
    return found


def on_cpu(system: System) -> bool:
    """Whether several processes may make estimates side by side."""
    return not isinstance(system, Model) or system.device == "cpu"


def _noisy(sounds: Sounds) -> tuple[np.ndarray, int]:
    if sounds.noisy is None or sounds.sample_rate is None:
        raise AudioError("no noisy sound of this name")
    return sounds.noisy, sounds.sample_rate


@lru_cache
def _enhancer(model: str, device: str, dtype: str) -> Enhancer:
    return load(model, device, dtype)
