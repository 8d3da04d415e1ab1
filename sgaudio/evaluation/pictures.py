"""Pictures of scores: how they spread over files, and one metric against another."""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sgaudio.audio.picture import any_script, make_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Interval = tuple[float, float]

# Okabe, Ito 2008, Color universal design; their yellow, too light on white, made darker, and grey for black
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6B6B6B", "#B8A500")
PANELS = 4  # in a row, at most
LEAST = 6.5  # inches: what the caption takes
BOX = 0.56  # of the height of a row
MOST_DOTS = 100  # files that are drawn singly behind a box
GREY, LINE, GRID = "#6B6B6B", "#9A9A9A", "#D9D9D9"  # of text, axes, grid
BOXES = "box: middle half of the files    line: median    diamond: mean    whiskers: 5 to 95 %"
CLOUD = "small dot: a file    large dot: mean, with 95 % intervals"


def save_boxes(
    path: str | os.PathLike[str],
    values: Mapping[str, Mapping[str, np.ndarray]],
    means: Mapping[str, Mapping[str, float | None]] | None = None,
) -> None:
    """Write a PNG of a panel for each column, in which each system has a box: quartiles, median, mean, 5 and 95 %.

    Args:
        path: replaced when the picture is whole.
        values: scores (file), NaN where there is none, by title of a column and name of a system.
        means: where they are not the plain ones.

    Raises:
        AudioError: where the file cannot be written.
    """
    systems = list(dict.fromkeys(system for column in values.values() for system in column))
    rows = max(1, -(-len(values) // PANELS))
    columns = max(1, -(-len(values) // rows))
    names = 0.09 * max(map(len, systems), default=0)  # about as wide, in inches
    figure = make_figure((max(LEAST, names + 2.7 * columns), rows * (0.8 + 0.3 * max(2, len(systems))) + 0.3))
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for place, (axis, (title, scores)) in enumerate(zip(panels, values.items(), strict=False)):
        for row, system in enumerate(systems):
            found = _finite(scores.get(system, ()))
            if len(found):
                mean = (means or {}).get(title, {}).get(system)
                _draw_box(axis, row, found, float(found.mean()) if mean is None else mean, _colour(row))
        _dress(axis, title, empty=not any(len(_finite(scores.get(system, ()))) for system in systems))
        axis.set_ylim(len(systems) - 0.4, -0.6)
        axis.set_yticks(range(len(systems)), systems, parse_math=False)
        axis.tick_params(axis="y", length=0, labelleft=place % columns == 0)
    for axis in panels[len(values) :]:
        axis.remove()
    _caption(figure, BOXES)
    save_figure(path, figure)


def save_scatter(
    path: str | os.PathLike[str],
    x: Mapping[str, np.ndarray],
    y: Mapping[str, np.ndarray],
    x_title: str,
    y_title: str,
    intervals: Mapping[str, tuple[Interval, Interval]] | None = None,
) -> None:
    """Write a PNG of one score against another: a dot a file, and each system's mean with its 95 % intervals.

    Args:
        path: replaced when the picture is whole.
        x: scores (file), NaN where there is none, by name of a system.
        y: of the same systems and files; a file without one of the two is left out.
        x_title: what x is.
        y_title: what y is.
        intervals: (low, high) of the means in x and y, by name of a system; 1.96 standard errors either way where not given.

    Raises:
        AudioError: where the file cannot be written.
    """
    figure = make_figure((7.5, 6))
    axis = figure.subplots()
    bars: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # low, mean and high, in x and y
    for row, system in enumerate(x):
        points = np.stack([np.asarray(x[system], np.float64), np.asarray(y[system], np.float64)])
        points = points[:, np.isfinite(points).all(0)]
        if not points.size:
            continue
        means = points.mean(1)
        given = (intervals or {}).get(system)
        ends = _standard_intervals(points) if given is None else np.array(given)
        across, up = (np.array([low, mean, high]) for mean, (low, high) in zip(means, ends, strict=True))
        bars[system] = across, up
        axis.scatter(*points, s=12, color=_colour(row), alpha=0.25, linewidths=0, zorder=2)
        for line in ((across[[0, 2]], up[[1, 1]]), (across[[1, 1]], up[[0, 2]])):
            axis.plot(*line, color=_colour(row), linewidth=2, solid_capstyle="butt", zorder=4)
        axis.scatter(*means, s=90, color=_colour(row), edgecolors="white", linewidths=1.2, zorder=5)
    _dress(axis, "", empty=not bars)
    axis.grid(axis="y", color=GRID, linewidth=0.6)
    axis.set_xlabel(x_title, parse_math=False)
    axis.set_ylabel(y_title, parse_math=False)
    if not bars:
        axis.set_yticks([])
    _caption(figure, CLOUD)
    with any_script():
        _label(figure, axis, bars, {system: _colour(row) for row, system in enumerate(x)})
    save_figure(path, figure)


def _colour(row: int) -> str:
    return COLOURS[row % len(COLOURS)]


def _finite(scores: Iterable[float]) -> np.ndarray:
    found = np.asarray(scores, np.float64)
    return found[np.isfinite(found)]


def _standard_intervals(points: np.ndarray) -> np.ndarray:
    """Of points (2, file): low and high of each mean, (2, 2)."""
    count, means = points.shape[1], points.mean(1)
    wide = 1.96 * points.std(1, ddof=1) / np.sqrt(count) if count > 1 else np.zeros(2)
    return np.stack([means - wide, means + wide], 1)


def _caption(figure: "Figure", text: str) -> None:
    figure.supxlabel(text, fontsize="small", color=GREY)


def _dress(axis: "Axes", title: str, empty: bool) -> None:
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(LINE)
    axis.tick_params(color=LINE)
    axis.set_title(title, loc="left", fontsize="medium", fontweight="bold", parse_math=False)
    if empty:
        axis.set_xticks([])
        axis.text(0.5, 0.5, "no scores", transform=axis.transAxes, ha="center", va="center", color=GREY)
    else:
        axis.locator_params(axis="x", nbins=5)
        axis.grid(axis="x", color=GRID, linewidth=0.6)


def _draw_box(axis: "Axes", row: int, scores: np.ndarray, mean: float, colour: str) -> None:
    low, first, median, third, high = np.quantile(scores, (0.05, 0.25, 0.5, 0.75, 0.95))
    if len(scores) <= MOST_DOTS:
        spread = (np.arange(len(scores)) * 0.6180339887 % 1 - 0.5) * BOX  # even, without a draw
        axis.scatter(scores, row + spread, s=7, color=colour, alpha=0.35, linewidths=0, zorder=2)
    axis.hlines([row, row], [low, third], [first, high], color=colour, linewidth=1.4, zorder=3)
    axis.barh(row, third - first, BOX, first, color=(colour, 0.3), edgecolor=colour, linewidth=1.2, zorder=3)
    axis.vlines(median, row - BOX / 2, row + BOX / 2, color=colour, linewidth=2.2, zorder=4)
    axis.scatter(mean, row, s=26, marker="D", color="white", edgecolors="black", linewidths=0.9, zorder=5)


def _label(figure: "Figure", axis: "Axes", bars: Mapping[str, tuple[np.ndarray, np.ndarray]], colours: Mapping[str, str]) -> None:
    """Write the names beside their means, where they cover the least of markers, bars and one another."""
    from matplotlib.patheffects import withStroke

    figure.draw_without_rendering()  # now the axes have their place
    dots = figure.dpi / 72  # a point
    taken: list[np.ndarray] = []  # left, bottom, right, top in dots
    for across, up in bars.values():
        corners = axis.transData.transform(np.stack([across, up], 1))
        x, y = corners[1]
        taken += [np.array(box) for box in ((x, y, x, y), (corners[0, 0], y, corners[2, 0], y), (x, corners[0, 1], x, corners[2, 1]))]
    taken = [box + 6 * dots * np.array([-1, -1, 1, 1]) for box in taken]
    inside = np.array(axis.get_window_extent().extents)
    for system, (across, up) in bars.items():
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontweight": "bold", "color": colours[system], "parse_math": False}
        text = axis.annotate(system, (across[1], up[1]), (0, 0), textcoords="offset points", zorder=6, **style)
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])
        size = np.array(text.get_window_extent().size)
        centre = axis.transData.transform((across[1], up[1]))
        places = []
        for away in (9, 16, 26, 40, 60):
            for side in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
                offset = np.array(side) * (size / 2 + away * dots)
                box = np.concatenate([centre + offset - size / 2, centre + offset + size / 2])
                places.append((sum(_overlap(box, other) for other in taken) + size.prod() - _overlap(box, inside), offset, box))
        _, offset, box = min(places, key=lambda place: round(place[0]))
        text.set_position(tuple(offset / dots))
        taken.append(box)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Area that two boxes (left, bottom, right, top) share."""
    return float(np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod())
