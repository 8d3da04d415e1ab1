"""One item, one system: its estimate, and every metric on it. Whatever fails is a line in the record, and stops nothing else."""

import warnings
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from sgaudio.errors import AudioError, SgaudioError
from sgaudio.evaluation.delay import constant_delay
from sgaudio.evaluation.items import Item, Sounds, brought_together
from sgaudio.evaluation.systems import Estimate, System
from sgaudio.metrics import METRICS


@dataclass
class Record:
    """What is known of one item by one system.

    Args:
        key: over all that it depends on.
        snr_db: of the noisy sound, where it is known.
        seconds: of sound.
        delay: of the estimate against the clean sound in seconds, as found; None where there is no clean sound or no delay stands out.
        scores: by column.
        failures: by metric, why it has no score.
        remarks: what was changed before it was scored.
    """

    key: str
    item: str
    system: str
    snr_db: float | None = None
    seconds: float = 0.0
    delay: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Task:
    """One item by one system.

    Args:
        metrics: names of the metrics.
        align: whether a delay that is found is removed.
        key: of its record.
        sound: digest of the item's files.
    """

    item: Item
    system: System
    metrics: tuple[str, ...]
    align: bool
    key: str = ""
    sound: str = ""


def estimated(task: Task) -> tuple[Sounds, Estimate] | str:
    """The sounds of the task's item, and the system's estimate; or, in a line, why there is none."""
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            sounds = task.item.load()
            estimate = task.system.estimate(task.item, sounds)
    except Exception as error:
        return _line(error)
    told = tuple(str(warning.message) for warning in warned if warning.category is UserWarning)  # of a file that is truncated
    return replace(sounds, remarks=sounds.remarks + told), estimate


def scored(task: Task, made: tuple[Sounds, Estimate] | str) -> Record:
    """The record of what `estimated` gave."""
    record = Record(task.key, task.item.name, task.system.name, task.item.mixture.snr_db if task.item.mixture else None)
    try:
        if isinstance(made, str):
            raise AudioError(made)
        sounds, (estimate, rate) = made
        estimate, sounds = _comparable(estimate, rate, sounds, task, record)
    except Exception as error:
        record.failures = dict.fromkeys(task.metrics, _line(error))
        return record
    rate = sounds.sample_rate or rate
    for name in task.metrics:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of packages, on sound for which they then have no value
                record.scores |= METRICS[name](estimate, sounds.clean, rate, noise=sounds.noise, text=task.item.text)
        except Exception as error:
            record.failures[name] = _line(error)
    return record


def score(task: Task) -> Record:
    """Both."""
    return scored(task, estimated(task))


def _comparable(estimate: np.ndarray, rate: int, sounds: Sounds, task: Task, record: Record) -> tuple[np.ndarray, Sounds]:
    """Estimate and sounds at one rate and of one length; the record says what was done."""
    record.snr_db, record.seconds = sounds.snr_db, estimate.shape[1] / rate
    record.remarks += sounds.remarks
    if not estimate.size:
        raise AudioError("the estimate has no samples")
    if sounds.clean is None:
        return estimate, Sounds(rate)
    estimate, remarks = brought_together(estimate, rate, sounds.clean, sounds.sample_rate or rate, "the estimate")
    record.remarks += remarks
    rate = sounds.sample_rate or rate
    length = min(estimate.shape[1], sounds.clean.shape[1])
    delay = constant_delay(estimate[:, :length], sounds.clean[:, :length], rate)
    record.delay = None if delay is None else delay / rate
    if delay and task.align:
        estimate, sounds = estimate[:, max(0, delay) :], sounds.cut(max(0, -delay), sounds.clean.shape[1])
        record.remarks.append(f"moved by {-delay} samples: it was {'late' if delay > 0 else 'early'}")
    assert sounds.clean is not None
    length = min(estimate.shape[1], sounds.clean.shape[1])
    return estimate[:, :length], sounds.cut(0, length)


def _line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return text if isinstance(error, SgaudioError) else f"{type(error).__name__}: {text}"
