"""Texts that replace a file when they are whole."""

from pathlib import Path

from sgaudio.audio.files import replacement
from sgaudio.errors import AudioError


def save_text(path: Path, text: str) -> None:
    """Write UTF-8; what is no text in a file's name stands as an escape.

    Raises:
        AudioError: where it cannot be written.
    """
    with replacement(path) as temporary:
        try:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
        except OSError as error:
            raise AudioError(f"{path}: cannot be written ({(error.strerror or '').lower()})") from error
