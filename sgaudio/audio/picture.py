"""Pictures of sound: spectrograms on one scale, from blocks, in bounded memory."""

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sgaudio.audio.files import replacement
from sgaudio.errors import AudioError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WINDOW, HOP = 1024, 512  # samples
MOST_COLUMNS = 2048  # kept of a recording, however long: neighbours are averaged
RANGE = 80.0  # dB shown below the loudest
DOTS = 120  # an inch


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


def save_spectrograms(path: str | os.PathLike[str], traces: Mapping[str, Trace], title: str = "") -> None:
    """Write a PNG of spectrograms on one scale of time, frequency and level.

    Args:
        path: replaced when the picture is whole.
        traces: at least one, by what to write above it, in the order of reading.

    Raises:
        AudioError: where the file cannot be written, or there is nothing to draw.
    """
    if not traces:
        raise AudioError(f"{path}: there is no sound to draw")
    save_figure(path, draw_spectrograms(traces, title))


def draw_spectrograms(traces: Mapping[str, Trace], title: str = "") -> "Figure":
    """The figure that `save_spectrograms` writes."""
    columns = 1 if len(traces) < 4 else 2 if len(traces) < 9 else 3
    rows = -(-len(traces) // columns)
    figure = make_figure((10 + 2 * (columns - 1), 6 if rows <= 2 else 2.2 * rows + 0.8))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    levels = [trace.decibels() for trace in traces.values()]
    loudest = max(level.max() for level in levels)
    images = []
    for place, (axis, (label, trace), level) in enumerate(zip(grid, traces.items(), levels, strict=False)):
        extent = (0, trace.seconds, 0, trace.sample_rate / 2000)
        look = {"origin": "lower", "aspect": "auto", "cmap": "magma", "vmin": loudest - RANGE, "vmax": loudest}
        images.append(axis.imshow(level, extent=extent, **look))
        axis.set_facecolor(images[0].get_cmap()(0))  # where a shorter one has ended
        axis.set_title(as_text(label), loc="left", fontsize="medium", parse_math=False)
        if place % columns == 0:
            axis.set_ylabel("frequency in kHz")
        if place + columns >= len(traces):  # nothing below
            axis.set_xlabel("time in s")
            axis.tick_params(labelbottom=True)
    for axis in grid[len(traces) :]:
        axis.remove()
    grid[0].set_xlim(0, max(trace.seconds for trace in traces.values()))
    grid[0].set_ylim(0, max(trace.sample_rate for trace in traces.values()) / 2000)
    figure.suptitle(as_text(title), parse_math=False)
    figure.colorbar(images[0], ax=list(grid[: len(traces)]), label="dB")
    return figure


def as_text(name: str) -> str:
    """The name of a file, in which bytes that are no text become question marks."""
    return name.encode(errors="replace").decode()


def make_figure(size: tuple[float, float]) -> "Figure":
    """An empty one, so wide and high in inches, which no window shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(path: str | os.PathLike[str], figure: "Figure") -> None:
    """Write a PNG, the same bytes for the same figure; it replaces `path` when it is whole.

    Raises:
        AudioError: where the file cannot be written.
    """
    with replacement(path) as temporary, Path(temporary).open("wb") as file, any_script():
        figure.savefig(file, format="png", dpi=DOTS)


@contextmanager
def any_script() -> Iterator[None]:
    """Letters that the font lacks, as in names of files in other scripts, are drawn as boxes; nobody needs to be warned."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield
