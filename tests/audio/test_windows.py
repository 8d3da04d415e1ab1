import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.audio.windows import Cutter, OverlapAdd, Windows
from sgaudio.errors import ConfigError

GEOMETRIES = [Windows(40, 0, 0), Windows(40, 5, 0), Windows(40, 0, 20), Windows(40, 5, 10), Windows(40, 4, 12)]


def groups(windows: Windows, signal: torch.Tensor, cuts: list[int], group: int):
    cutter = Cutter(windows, len(signal), group)
    for block in signal.tensor_split(sorted(cut % (signal.shape[-1] + 1) for cut in cuts), -1):
        yield from cutter.push(block)
    yield from cutter.flush()


@given(st.sampled_from(GEOMETRIES), st.integers(0, 300), st.lists(st.integers(0, 300), max_size=5), st.integers(1, 4))
def test_overlap_add_undoes_the_cutter_and_no_window_is_padded(windows, length, cuts, group):
    signal = torch.rand(2, length)
    overlap, pieces, count = OverlapAdd(windows), [torch.zeros(2, 0)], 0
    for found in groups(windows, signal, cuts, group):
        assert found.first == count
        for window in found.windows:
            start = count * windows.hop
            torch.testing.assert_close(window, signal[:, start : start + windows.length])
            pieces.append(overlap.push(window, found.last))
            count += 1
    torch.testing.assert_close(torch.cat(pieces, -1), signal)


@given(st.sampled_from(GEOMETRIES), st.integers(1, 300), st.lists(st.integers(0, 300), max_size=5), st.integers(1, 4))
def test_groups_do_not_depend_on_the_cut(windows, length, cuts, group):
    signal = torch.rand(1, length)
    whole, cut = ([(g.first, g.last, g.windows) for g in groups(windows, signal, c, group)] for c in ([], cuts))
    assert [g[:2] for g in whole] == [g[:2] for g in cut]
    assert all(torch.equal(a[2], b[2]) for a, b in zip(whole, cut, strict=True))


def test_guards_do_not_reach_the_result():
    windows, signal = Windows(40, 5, 10), torch.ones(1, 200)
    overlap, pieces, seen = OverlapAdd(windows), [], list(groups(windows, signal, [], 1))
    for group in seen:
        result = group.windows[0].clone()
        if group.first > 0:
            result[:, :5] = torch.nan
        if not group.last:
            result[:, -5:] = torch.nan
        pieces.append(overlap.push(result, group.last))
    assert torch.equal(torch.cat(pieces, -1), signal)


def test_windows_that_overlap_more_than_twice_are_refused():
    with pytest.raises(ConfigError, match="too short"):
        Windows(40, 10, 15)
