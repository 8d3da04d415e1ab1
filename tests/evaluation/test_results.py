"""What scores come to."""

import numpy as np
import pytest

from sgaudio.evaluation.report import number, save_csv, save_markdown
from sgaudio.evaluation.results import collected
from sgaudio.evaluation.scoring import Record
from sgaudio.metrics import METRICS, Column


def records(scores, ratios=None, failures=None):
    """Records of SI-SDR: scores[system][item]."""
    found = []
    for item in range(len(next(iter(scores.values())))):
        for system, values in scores.items():
            record = Record("", f"file{item}", system, None if ratios is None else ratios[item], 1.0, 0.0)
            if values[item] is None:
                record.failures = {"si-sdr": "reference is silent"}
            else:
                record.scores = {"SI-SDR": values[item]}
            found.append(record)
    return collected(found, ["si-sdr"])


COLUMN = METRICS["si-sdr"].columns[0]


def test_means_are_over_the_files_that_have_a_value_and_say_how_many():
    results = records({"ours": [10.0, None, 14.0], "other": [8.0, 7.0, 9.0]})
    assert (results.mean(COLUMN, "ours").value, results.mean(COLUMN, "ours").files) == (12, 2)
    assert (results.mean(COLUMN, "other").value, results.mean(COLUMN, "other").files) == (8, 3)
    assert results.failures() == [("file1", "ours", "SI-SDR", "reference is silent")]


def test_differences_are_paired_over_the_files_that_both_have():
    results = records({"ours": [10.0, None, 14.0], "other": [9.0, 99.0, 12.0]})
    difference = results.difference(COLUMN, "other")
    assert (difference.value, difference.files, difference.excludes_zero) == (-1.5, 2, True)
    assert (difference.low, difference.high) == (-2, -1)


def test_files_of_one_ratio_stand_together_from_low_to_high():
    results = records({"ours": [1.0, 2.0, 3.0, 4.0]}, ratios=[10.0, -5.0, 10.0, None])
    groups = results.groups()
    assert list(groups) == ["-5 dB", "10 dB"]
    assert [results.mean(COLUMN, "ours", chosen).value for chosen in groups.values()] == [2, 2]
    assert records({"ours": [1.0]}).groups() == {}


def test_measured_ratios_that_differ_by_rounding_stand_together():
    results = records({"ours": [1.0, 2.0, 3.0, 4.0]}, ratios=[5.000001, 4.999998, -1e-7, 2e-7])
    assert {name: chosen.tolist() for name, chosen in results.groups().items()} == {
        "0 dB": [False, False, True, True],
        "5 dB": [True, True, False, False],
    }


def test_many_different_ratios_are_put_into_groups_of_five_decibels():
    ratios = [-0.1, 0.0, 1.3, 2.2, 3.1, 4.9, 5.0, 11.0, 12.0]
    groups = records({"ours": list(ratios)}, ratios).groups()
    assert list(groups) == ["-5 to 0 dB", "0 to 5 dB", "5 to 10 dB", "10 to 15 dB"]
    assert [int(chosen.sum()) for chosen in groups.values()] == [1, 5, 1, 2]


def test_the_files_on_which_systems_differ_most_come_first():
    results = records({"a": [1.0, 5.0, None, 2.0], "b": [2.0, 1.0, 9.0, 2.5], "unprocessed": [90.0, 0.0, 0.0, 0.0]})
    assert results.most_different(2) == ["file1", "file0"]
    assert results.most_different(9) == ["file1", "file0", "file3"]  # not the one that a system was not scored on


def test_a_delay_is_told_where_most_estimates_have_it():
    results = records({"ours": [1.0, 1.0, 1.0], "other": [1.0, 1.0, 1.0]})
    for record, delay in zip((r for r in results.records if r.system == "other"), (0.01, 0.01, 0.0), strict=True):
        record.delay = delay
    assert results.delays() == {"other": (0.01, 2)}


def test_tables_say_means_intervals_and_failures(tmp_path):
    results = records({"ours | *mine*": [10.0, None, 14.0], "other": [9.0, 7.0, 12.0]}, ratios=[0.0, 5.0, 5.0])
    save_markdown(tmp_path / "table.md", results)
    text = (tmp_path / "table.md").read_text()
    assert "|  | SI-SDR (dB) ↑ |" in text
    assert "| ours \\| \\*mine\\* | 12.00 [10.00, 14.00] (2) |" in text
    assert "| other | **−1.50** [−2.00, −1.00] (2) |" in text
    assert "Means over 3 files, 3 s (over as many as stand behind, where some were not scored)" in text
    assert "| SI-SDR (dB) ↑ | 0 dB | 5 dB |" in text
    assert "| files | 1 | 2 |" in text
    assert "| ours \\| \\*mine\\* | 10.00 | 14.00 (1) |" in text
    assert "- file1, ours \\| \\*mine\\*: SI-SDR: reference is silent" in text


def test_the_csv_has_a_line_for_each_file_and_system_with_all_digits(tmp_path):
    results = records({"ours": [1 / 3, None]})
    save_csv(tmp_path / "scores.csv", results)
    assert (tmp_path / "scores.csv").read_text().splitlines() == [
        "file,system,snr_db,seconds,delay_s,SI-SDR,failed,remarks",
        "file0,ours,,1.0,0.0,0.3333333333333333,,",
        "file1,ours,,1.0,0.0,,si-sdr: reference is silent,",
    ]


@pytest.mark.parametrize(("value", "expected"), [(None, "–"), (-1.255, "−1.25"), (2.0, "2.00")])
def test_numbers_are_set_as_in_print(value, expected):
    assert number(value, Column("x")) == expected
    assert number(None if value is None else abs(value), Column("x", digits=1), sign=True) == (
        "–" if value is None else f"+{abs(value):.1f}"
    )


def test_words_weigh_files_in_the_mean():
    found = []
    for item, (errors, words) in enumerate([(50.0, 2), (25.0, 16), (0.0, 2)]):
        found.append(Record("", str(item), "ours", scores={"WER": errors, "words": words}))
    results = collected(found, ["wer"])
    assert results.mean(METRICS["wer"].columns[0], "ours").value == pytest.approx(100 * (1 + 4) / 20)
    assert np.array_equal(results.scores("words", "ours"), [2, 16, 2])
