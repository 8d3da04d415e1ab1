import subprocess
import sys

import pytest

from sgaudio.models.memory import keep_allocations

FAULTS = """
import resource, sys, torch
from sgaudio.models.memory import keep_allocations

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(12_500_000)  # 50 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "keep":
    assert keep_allocations()
faults(20)
print(faults(10))
"""


def page_faults(how: str) -> int:
    """Of a new process that allocates and frees the same tensor ten times, when it has done so before."""
    return int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="allocations are kept on Linux only")
def test_memory_that_is_kept_does_not_arrive_page_by_page_again():
    assert page_faults("keep") < page_faults("as usual") / 100


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_it_says_that_nothing_is_kept(monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    assert not keep_allocations()


def test_a_c_library_without_the_setting_is_told(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not keep_allocations()
