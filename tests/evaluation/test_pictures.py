import numpy as np
import pytest

from sgaudio.evaluation import pictures
from sgaudio.evaluation.pictures import COLOURS, MOST_DOTS, save_boxes, save_scatter

SYSTEMS = ["unprocessed", "denoise, 1 step", "a$\\frac$ 日", "the fourth", "the fifth", "the sixth", "the seventh", "the eighth"]
COLUMNS = ["PESQ-wb", "ESTOI", "SI-SDR (dB)", "SIG", "BAK", "OVRL", "LSD (dB)", "level (dB)", "SI-SIR (dB)", "WER (%)"]


def scores(systems: list[str], files: int = 12, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    found = {system: generator.normal(place, 1, files) for place, system in enumerate(systems)}
    found[systems[0]][0] = np.nan
    return found


@pytest.fixture
def saved(monkeypatch):
    """The figures that are saved, instead of files."""
    figures = []
    monkeypatch.setattr(pictures, "save_figure", lambda path, figure: figures.append(figure))
    return figures


def test_pictures_are_the_same_bytes_at_every_call_and_read_no_formulas_in_names(tmp_path):
    x, y = scores(SYSTEMS[:3]), scores(SYSTEMS[:3], seed=1)
    for name in ("first", "again"):
        save_boxes(tmp_path / f"boxes_{name}.png", {"PESQ-wb": x, "$\\frac$ (dB)": y})
        save_scatter(tmp_path / f"scatter_{name}.png", x, y, "PESQ-wb", "OVRL $\\frac$")
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(files) == 4
    assert all(content.startswith(b"\x89PNG") for content in files.values())
    assert files["boxes_first.png"] == files["boxes_again.png"]
    assert files["scatter_first.png"] == files["scatter_again.png"]


def test_many_columns_have_a_panel_each_and_names_of_systems_at_the_left_of_each_row(saved):
    save_boxes("a.png", {title: scores(SYSTEMS, seed=seed) for seed, title in enumerate(COLUMNS)})
    panels = saved[0].axes
    assert [panel.get_title(loc="left") for panel in panels] == COLUMNS
    for panel in panels:
        is_first = panel.get_subplotspec().colspan.start == 0
        assert [label.get_text() for label in panel.get_yticklabels()] == (SYSTEMS if is_first else [])
        assert panel.yaxis_inverted()  # the first system is on top


def test_boxes_show_quartiles_and_diamonds_the_mean_of_the_files_that_have_a_score(saved):
    values = np.array([0.0, 1.0, 2.0, 3.0, 14.0, np.nan])
    save_boxes("a.png", {"PESQ-wb": {"a": values}})
    save_boxes("a.png", {"WER (%)": {"a": values}}, means={"WER (%)": {"a": 7.5}})
    for figure, mean in zip(saved, (4.0, 7.5), strict=True):
        (panel,) = figure.axes
        (box,) = panel.patches
        assert (box.get_x(), box.get_x() + box.get_width()) == (1.0, 3.0)
        dots, *_, diamond = panel.collections
        assert dots.get_offsets()[:, 0].tolist() == [0, 1, 2, 3, 14]
        assert diamond.get_offsets().tolist() == [[mean, 0]]


def test_files_are_drawn_singly_where_they_are_few(saved):
    for files in (MOST_DOTS, MOST_DOTS + 1):
        save_boxes("a.png", {"PESQ-wb": {"a": np.arange(files)}})
    few, many = (max(len(drawn.get_offsets()) for drawn in figure.axes[0].collections) for figure in saved)
    assert (few, many) == (MOST_DOTS, 1)


def test_what_has_no_scores_is_left_out(tmp_path):
    nothing = np.full(3, np.nan)
    save_boxes(tmp_path / "a.png", {"PESQ-wb": {"a": nothing, "b": np.ones(1)}, "ESTOI": {"a": nothing, "b": nothing}, "SIG": {}})
    save_boxes(tmp_path / "b.png", {})
    save_scatter(tmp_path / "c.png", {"a": nothing, "b": np.ones(1)}, {"a": np.ones(3), "b": np.ones(1)}, "PESQ-wb", "OVRL")
    save_scatter(tmp_path / "d.png", {"a": nothing}, {"a": nothing}, "PESQ-wb", "OVRL")
    save_scatter(tmp_path / "e.png", {}, {}, "PESQ-wb", "OVRL")
    assert len(list(tmp_path.iterdir())) == 5


def test_means_of_a_scatter_are_over_the_files_that_have_both_scores_with_their_intervals(saved):
    x, y = {"a": np.array([1.0, 3.0, np.nan, 9.0])}, {"a": np.array([2.0, 6.0, 5.0, np.nan])}
    save_scatter("a.png", x, y, "PESQ-wb", "OVRL")
    save_scatter("a.png", x, y, "PESQ-wb", "OVRL", {"a": ((1.5, 2.5), (3.0, 6.0))})
    for figure, across, up in zip(saved, ([2 - 1.96, 2 + 1.96], [1.5, 2.5]), ([4 - 3.92, 4 + 3.92], [3, 6]), strict=True):
        cloud, mean = figure.axes[0].collections
        assert cloud.get_offsets().tolist() == [[1, 2], [3, 6]]
        assert mean.get_offsets().tolist() == [[2, 4]]
        bars = [line.get_xydata() for line in figure.axes[0].lines]
        assert np.allclose(bars, [[[across[0], 4], [across[1], 4]], [[2, up[0]], [2, up[1]]]])


def test_names_of_a_scatter_cover_neither_one_another_nor_a_mean(saved):
    x, y = scores(SYSTEMS), scores(SYSTEMS, seed=1)
    save_scatter("a.png", x, y, "PESQ-wb", "OVRL")
    (panel,) = saved[0].axes
    boxes = [text.get_window_extent() for text in panel.texts]
    assert [text.get_text() for text in panel.texts] == SYSTEMS
    means = panel.transData.transform([drawn.get_offsets()[0] for drawn in panel.collections[1::2]])
    assert not any(box.contains(*mean) for box in boxes for mean in means)
    assert not any(box.overlaps(other) for place, box in enumerate(boxes) for other in boxes[:place])


def test_a_system_has_one_colour_in_all_pictures(saved):
    found = scores(SYSTEMS)
    save_boxes("a.png", {"PESQ-wb": found})
    save_scatter("a.png", found, found, "PESQ-wb", "OVRL")
    assert [text.get_color() for text in saved[1].axes[0].texts] == list(COLOURS)
    boxes = [box.get_edgecolor() for box in saved[0].axes[0].patches]
    assert boxes == [tuple(drawn.get_facecolor()[0]) for drawn in saved[1].axes[0].collections[1::2]]
