"""What is scored: a mixture, or the sounds of one name; read, and brought together."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sgaudio.audio.files import read
from sgaudio.audio.mixtures import Mixture
from sgaudio.audio.resampling import resample
from sgaudio.errors import AudioError

MOST_DIFFERENCE = 1.0  # second by which the lengths of two sounds of one name may differ


@dataclass(frozen=True)
class Sounds:
    """An item in memory: waveforms float32 (channel, time) of one shape, where there are such.

    Args:
        sample_rate: in Hz; None without a waveform.
        noise: what the noisy sound holds besides the clean one.
        snr_db: of the noisy sound.
        remarks: what was changed to bring them together.
    """

    sample_rate: int | None = None
    clean: np.ndarray | None = None
    noisy: np.ndarray | None = None
    noise: np.ndarray | None = None
    snr_db: float | None = None
    remarks: tuple[str, ...] = ()

    def cut(self, start: int, stop: int) -> "Sounds":
        """The samples of all waveforms from `start` to `stop`."""
        clean, noisy, noise = (sound if sound is None else sound[:, start:stop] for sound in (self.clean, self.noisy, self.noise))
        return replace(self, clean=clean, noisy=noisy, noise=noise)


@dataclass(frozen=True)
class Item:
    """A mixture, or a name with the files that have it.

    Args:
        name: relative path without suffix, or id.
        clean, noisy: files, where there are such.
        mixture: instead of them.
        text: what is said.
        estimates: folders of estimates, and the file in each.
    """

    name: str
    clean: Path | None = None
    noisy: Path | None = None
    mixture: Mixture | None = None
    text: str | None = None
    estimates: tuple[tuple[Path, Path], ...] = ()

    def about(self) -> dict[str, Any]:
        """All that it is made of but its files, as plain values."""
        mixture = {} if self.mixture is None else {key: value for key, value in asdict(self.mixture).items() if not isinstance(value, Path)}
        return {"name": self.name, "text": self.text, "clean": bool(self.clean), "noisy": bool(self.noisy), **mixture}

    @property
    def files(self) -> tuple[Path, ...]:
        """What it is made of."""
        return self.mixture.files if self.mixture else tuple(path for path in (self.clean, self.noisy) if path)

    def load(self) -> Sounds:
        """Read it, or mix it.

        Raises:
            AudioError: where a file cannot be read, or clean and noisy do not belong together.
        """
        if self.mixture:
            made = self.mixture.load()
            clean, noisy = made.clean[None], made.noisy[None]
            return Sounds(made.sample_rate, clean, noisy, noisy - clean, self.mixture.snr_db)
        if self.clean is None:
            if self.noisy is None:
                return Sounds()
            noisy, rate = read(self.noisy)
            return Sounds(rate, noisy=noisy)
        clean, rate = read(self.clean)
        if self.noisy is None:
            return Sounds(rate, clean)
        noisy, noisy_rate = read(self.noisy)
        noisy, remarks = brought_together(noisy, noisy_rate, clean, rate, "the noisy sound")
        length = min(clean.shape[1], noisy.shape[1])
        clean, noisy = clean[:, :length], noisy[:, :length]
        return Sounds(rate, clean, noisy, noisy - clean, _ratio(clean, noisy - clean), remarks)


def brought_together(
    sound: np.ndarray, sample_rate: int, reference: np.ndarray, reference_rate: int, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """A sound (channel, time) at the rate of its reference, and what was done to it, a line each. To cut the longer one is for the caller.

    Raises:
        AudioError: where the channels differ, or the lengths by more than a second.
    """
    remarks = []
    if len(sound) != len(reference):
        raise AudioError(f"{name} has {_channels(sound)}, the clean sound has {_channels(reference)}: mono and stereo are not compared")
    if sample_rate != reference_rate:
        sound = resample(sound, sample_rate, reference_rate)
        remarks.append(f"{name} resampled from {sample_rate} to {reference_rate} Hz")
    lengths = sound.shape[1], reference.shape[1]
    difference = lengths[0] - lengths[1]
    if abs(difference) > min(MOST_DIFFERENCE * reference_rate, max(lengths) / 2):
        seconds = [f"{length / reference_rate:.2f} s" for length in lengths]
        raise AudioError(f"{name} lasts {seconds[0]}, the clean sound {seconds[1]}: at most {MOST_DIFFERENCE:g} s or half may lie between")
    if abs(difference) > (sample_rate != reference_rate):  # two conversions may round to a sample more or less
        remarks.append(f"{name} is {abs(difference)} samples {'longer' if difference > 0 else 'shorter'}: the common part is compared")
    return sound, tuple(remarks)


def digest(paths: Sequence[Path], known: dict[Path, str]) -> str:
    """sha256 over the contents of files, in their order; `known` remembers those of single ones."""
    total = hashlib.sha256()
    for path in paths:
        if path not in known:
            try:
                with path.open("rb") as file:
                    known[path] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                known[path] = f"unreadable: {error.strerror}"
        total.update(known[path].encode())
    return total.hexdigest()


def _ratio(clean: np.ndarray, noise: np.ndarray) -> float | None:
    """Signal-to-noise ratio in dB; None where one of them is silent, or no number."""
    powers = [float(np.sum(np.square(sound, dtype=np.float64))) for sound in (clean, noise)]
    return float(10 * np.log10(powers[0] / powers[1])) if all(0 < power < np.inf for power in powers) else None


def _channels(sound: np.ndarray) -> str:
    return f"{len(sound)} channel{'s' * (len(sound) > 1)}"
