"""What a metric is: a function on one channel, with its columns, and what it needs to be asked."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, Any, Literal

import numpy as np

from sgaudio.audio.resampling import resample
from sgaudio.errors import AudioError, ConfigError
from sgaudio.registry import Range, check

Scores = dict[str, float]
Need = Literal["reference", "noise", "words"]


@dataclass(frozen=True)
class Column:
    """One number that a metric gives.

    Args:
        name: as it stands in tables.
        best: which values are good: the "highest", the "lowest", or those next to "zero".
        digits: behind the point, in tables.
        unit: in tables.
        weight: name of the score that weighs a file in means; all weigh the same by default.
    """

    name: str
    best: Literal["highest", "lowest", "zero"] = "highest"
    digits: Annotated[int, Range(0, 6)] = 2
    unit: str = ""
    weight: str = ""

    def __post_init__(self) -> None:
        check(self)

    @property
    def title(self) -> str:
        """Name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True)
class Metric:
    """A metric; call it with sound.

    Args:
        score: from (estimate, reference, sample_rate) of one channel, float32 (time) of one length, to a value for each column.
            A metric that needs none gets None for a reference; more that it needs comes by keyword (`noise`, `text`).
        columns: what it gives.
        source: the paper.
        needs: what it cannot do without: the clean "reference"; the "noise" in the noisy sound; "words": a text, or a reference to hear.
        rates: sample rates, in Hz, that it is defined at, the highest first; sound is resampled to the highest that its own reaches.
            Any rate if empty.
        modules: names of the modules that it imports.
        extra: of sgaudio, which brings them.
        remark: what to know before one installs it.
    """

    score: Callable[..., Scores]
    columns: tuple[Column, ...]
    source: str
    needs: tuple[Need, ...] = ("reference",)
    rates: tuple[int, ...] = ()
    modules: tuple[str, ...] = ()
    extra: str = ""
    remark: str = ""

    def __call__(
        self,
        estimate: np.ndarray,
        reference: np.ndarray | None = None,
        sample_rate: int = 16_000,
        *,
        noise: np.ndarray | None = None,
        text: str | None = None,
    ) -> Scores:
        """The value of each column: the mean over channels.

        Args:
            estimate: the sound to judge, (time) or (channel, time), full scale at 1.
            reference: the clean sound, of the same shape.
            sample_rate: of both, in Hz.
            noise: what the noisy sound holds besides the clean one, of the same shape.
            text: what is said.

        Raises:
            AudioError: on sound that this metric has no value for.
            ConfigError: where what it needs is not given, or not installed.
        """
        self.check_installed()
        given: dict[str, Any] = {"reference": reference, "noise": noise, "words": reference if text is None else text}
        for need in self.needs:
            if given[need] is None:
                raise ConfigError(f"{self.title}: needs {NEEDED[need]}")
        rate = self._rate(sample_rate)
        sounds = {"estimate": estimate, "reference": reference if {"reference", "words"} & {*self.needs} else None}
        sounds["noise"] = noise if "noise" in self.needs else None
        ready = {name: _prepared(sound, name, estimate, sample_rate, rate) for name, sound in sounds.items() if sound is not None}
        extras: dict[str, Any] = {"text": text} if "words" in self.needs else {}
        values: list[Scores] = []
        for channel in range(len(ready["estimate"])):
            if "noise" in self.needs:
                extras["noise"] = ready["noise"][channel]
            clean = ready["reference"][channel] if "reference" in ready else None
            values.append(self.score(ready["estimate"][channel], clean, rate, **extras))
        scores = {name: float(np.mean([value[name] for value in values])) for name in values[0]}
        for name, score in scores.items():
            if not np.isfinite(score):
                raise AudioError(f"{name}: is {score} for this sound")
        return scores

    @property
    def title(self) -> str:
        """Names of its columns."""
        return ", ".join(column.name for column in self.columns)

    def check_installed(self) -> None:
        """
        Raises:
            ConfigError: names what is missing, and the line that brings it.
        """
        missing = [name for name in self.modules if find_spec(name) is None]
        if missing:
            raise ConfigError(f"{self.title}: {missing[0]} is not installed: pip install 'sgaudio[{self.extra}]'{self.remark}")

    def versions(self) -> dict[str, str]:
        """Of the modules that it imports."""
        return {name: version(name) for name in self.modules}

    def _rate(self, sample_rate: int) -> int:
        if not self.rates:
            return sample_rate
        fitting = [rate for rate in self.rates if rate <= sample_rate]
        if not fitting:
            raise AudioError(f"{self.title}: defined for {min(self.rates)} Hz and above, this sound has {sample_rate} Hz")
        return fitting[0]


NEEDED = {
    "reference": "the clean sound as a reference",
    "noise": "the noise that was added: the noisy sound beside the clean one",
    "words": "a text, or the clean sound to listen to",
}


def _prepared(sound: np.ndarray, name: str, estimate: np.ndarray, sample_rate: int, rate: int) -> np.ndarray:
    """Float32 (channel, time) at `rate`."""
    if sound.shape != estimate.shape or not 1 <= sound.ndim <= 2 or sound.size == 0:
        raise AudioError(f"{name} has shape {sound.shape}, expected (time) or (channel, time), as the estimate: {estimate.shape}")
    if not np.isfinite(sound).all():
        raise AudioError(f"{name} has NaN or infinite samples")
    if not sound.any():
        raise AudioError(f"{name} is silent")
    return resample(np.atleast_2d(np.asarray(sound, np.float32)), sample_rate, rate)
