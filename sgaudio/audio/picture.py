"""A picture of sound before and after: two spectrograms on one scale, from blocks, in bounded memory."""

import os
from pathlib import Path

import numpy as np

from sgaudio.audio.files import replacement

WINDOW, HOP = 1024, 512  # samples
MOST_COLUMNS = 2048  # kept of a recording, however long: neighbours are averaged
RANGE = 80.0  # dB shown below the loudest


class Trace:
    """The power spectrogram of a recording, averaged over channels, as coarse in time as its length makes necessary."""

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.frames_a_column = 1
        self._waiting: np.ndarray | None = None  # samples (channel, time) short of a frame
        self._frames = np.zeros((0, WINDOW // 2 + 1))  # power (frame, bin), short of a column
        self._columns: list[np.ndarray] = []

    def push(self, block: np.ndarray) -> None:
        """Take samples (channel, time)."""
        samples = block if self._waiting is None else np.concatenate([self._waiting, block], 1)
        count = max(0, (samples.shape[1] - WINDOW) // HOP + 1)
        self._waiting = samples[:, count * HOP :]
        if not count:
            return
        frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW, axis=1)[:, : count * HOP : HOP]
        power = np.square(np.abs(np.fft.rfft(frames * np.hanning(WINDOW)))).mean(0)
        self._frames = np.concatenate([self._frames, power])
        while len(self._frames) >= self.frames_a_column:
            self._columns.append(self._frames[: self.frames_a_column].mean(0))
            self._frames = self._frames[self.frames_a_column :]
            if len(self._columns) == MOST_COLUMNS:
                self._columns = [(a + b) / 2 for a, b in zip(self._columns[::2], self._columns[1::2], strict=True)]
                self.frames_a_column *= 2

    def decibels(self) -> np.ndarray:
        """(bin, column) in dB, 0 for a full-scale sine; one column of silence where there was not one frame."""
        power = np.stack(self._columns, 1) if self._columns else np.zeros((WINDOW // 2 + 1, 1))
        return 10 * np.log10(power / (WINDOW / 4) ** 2 + 1e-12)

    @property
    def seconds(self) -> float:
        """Time that the columns span."""
        return max(1, len(self._columns)) * self.frames_a_column * HOP / self.sample_rate


def save_picture(path: str | os.PathLike[str], before: Trace, after: Trace, title: str = "") -> None:
    """Write a PNG of two spectrograms, one above the other; it replaces `path` when it is whole.

    Raises:
        AudioError: where the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, sharex=True, sharey=True)
    levels = [before.decibels(), after.decibels()]
    loudest = max(level.max() for level in levels)
    images = [
        axis.imshow(
            level,
            origin="lower",
            aspect="auto",
            extent=(0, before.seconds, 0, before.sample_rate / 2000),
            cmap="magma",
            vmin=loudest - RANGE,
            vmax=loudest,
        )
        for axis, level in zip(axes, levels, strict=True)
    ]
    axes[0].set_ylabel("before: frequency in kHz")
    axes[1].set_ylabel("after: frequency in kHz")
    axes[1].set_xlabel("time in s")
    figure.suptitle(title.replace("$", r"\$"))
    figure.colorbar(images[0], ax=axes, label="dB")
    with replacement(path) as temporary, Path(temporary).open("wb") as file:
        figure.savefig(file, format="png", dpi=120)
