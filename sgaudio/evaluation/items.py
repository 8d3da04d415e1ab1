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

    def cut(self, length: int) -> "Sounds":
        """All waveforms no longer than `length` samples."""
        clean, noisy, noise = (sound if sound is None else sound[:, :length] for sound in (self.clean, self.noisy, self.noise))
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
        return {"name": self.name, "text": self.text, **mixture}

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
        clean = clean[:, : noisy.shape[1]]
        return Sounds(rate, clean, noisy, noisy - clean, _ratio(clean, noisy - clean), remarks)


def brought_together(
    sound: np.ndarray, sample_rate: int, reference: np.ndarray, reference_rate: int, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """A sound (channel, time) at the rate of its reference and no longer than it, and what was done to it, a line each.

    Where it is shorter, the reference is for the caller to cut.

    Raises:
        AudioError: where the channels differ, or the lengths by more than a second.
    """
    remarks = []
    if len(sound) != len(reference):
        raise AudioError(f"{name} has {_channels(sound)}, the clean sound has {_channels(reference)}: mono and stereo are not compared")
    if sample_rate != reference_rate:
        sound = resample(sound, sample_rate, reference_rate)
        remarks.append(f"{name} resampled from {sample_rate} to {reference_rate} Hz")
    difference = sound.shape[1] - reference.shape[1]
    if abs(difference) > MOST_DIFFERENCE * reference_rate:
        lengths = [f"{length.shape[1] / reference_rate:.2f} s" for length in (sound, reference)]
        raise AudioError(f"{name} lasts {lengths[0]}, the clean sound {lengths[1]}: no more than {MOST_DIFFERENCE:g} s may lie between")
    if difference and sample_rate == reference_rate:
        remarks.append(f"{name} is {abs(difference)} samples {'longer' if difference > 0 else 'shorter'}: the common part is compared")
    return sound[:, : reference.shape[1]], tuple(remarks)


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
    """Signal-to-noise ratio in dB; None where one of them is silent."""
    powers = [float(np.mean(np.square(sound, dtype=np.float64))) for sound in (clean, noise)]
    return float(10 * np.log10(powers[0] / powers[1])) if all(powers) else None


def _channels(sound: np.ndarray) -> str:
    return f"{len(sound)} channel{'s' * (len(sound) > 1)}"
