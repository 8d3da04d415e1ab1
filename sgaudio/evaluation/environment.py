"""In what an evaluation was run: enough to run it again."""

import platform
import subprocess
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import soundfile

from sgaudio import __version__

PARTS = ("audio", "metrics", "models", "nets", "processes", "solvers", "streaming")
PACKAGES = ("torch", "numpy", "soundfile", "soxr")


def versions() -> dict[str, str]:
    """Of the packages that are installed, of Python and libsndfile."""
    found = {"sgaudio": __version__, "python": platform.python_version(), "libsndfile": soundfile.__libsndfile_version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@lru_cache
def code() -> str:
    """sha256 over our code that scores depend on: a checkout changes while its version stays."""
    root = Path(__file__).parents[1]
    files = [path for folder in PARTS for path in sorted((root / folder).rglob("*.py"))]
    files += [root / "evaluation" / f"{name}.py" for name in ("delay", "items", "peers", "scoring", "systems")]
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def commit() -> str | None:
    """The commit that this package was checked out at, with "+" where its code was changed since; None where it was not checked out."""
    folder = Path(__file__).parents[1]
    if not (folder.parent / ".git").exists():
        return None
    words = ["git", "-C", str(folder), "-c", "core.fsmonitor=false"]
    try:
        head = subprocess.run([*words, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        changed = subprocess.run([*words, "status", "--porcelain", "."], capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return head + "+" * bool(changed.strip())
