"""Models of the Hugging Face Hub by their addresses.

    hf://owner/repository/path/in/it.safetensors
    hf://owner/repository@revision/path/in/it.safetensors

A file lies in huggingface_hub's cache, in `snapshots` as a link to a blob that is named after the ETag of the Hub: the sha256 of the bytes
where they are stored beside the repository (LFS, Xet), else git's name of a blob, sha1(b"blob <size>\\0" + bytes). One step of the link is
followed: what has that name may itself be a link, to where repositories share a blob under another name.
"""

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

from sgaudio.errors import CheckpointError, ConfigError

SCHEME = "hf://"
PART = r"\w[\w.,=+-]*"  # of a path: never hidden, never '..'
ADDRESS = re.compile(rf"{SCHEME}([\w.-]+/[\w.-]+)(?:@(\w[\w.-]*))?/((?:{PART}/)*{PART}\.safetensors)")


def fetch(address: str) -> Path:
    """The file at an address, and no other: from the cache without any network, else downloaded; its bytes are checked either way.

    So a branch (`main`, where no revision is given) stays what it was when it was first fetched. The environment is huggingface_hub's:
    HF_ENDPOINT (a mirror), HF_HOME (the cache), HF_TOKEN, HF_HUB_OFFLINE.

    Raises:
        ConfigError: on what is not such an address, and where huggingface_hub is not installed.
        CheckpointError: where the file cannot be had, or its bytes do not match their checksum.
    """
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise ConfigError(f"{address!r} is not the address of a model: expected {SCHEME}owner/repository[@revision]/path.safetensors")
    if find_spec("huggingface_hub") is None:
        raise ConfigError(f"{address}: huggingface_hub is not installed: pip install 'sgaudio[hub]'")
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    repository, revision, name = match.groups(default="main")
    try:
        cached = try_to_load_from_cache(repository, name, revision=revision)
        path = Path(cached if isinstance(cached, str) else hf_hub_download(repository, name, revision=revision))
        expected, found = _checksums(path)
    except HFValidationError as error:
        raise ConfigError(f"{address}: {error}") from error
    except Exception as error:  # HTTP, Xet, locks and disks: no base unites what they raise
        raise CheckpointError(f"{address}: {_complaint(error, repository, revision)}") from error
    if not found:
        raise CheckpointError(f"{address}: the cache keeps no checksum of it ({expected or 'no link'}): to load it unchecked, give {path}")
    if found != expected:
        raise CheckpointError(f"{address}: its bytes do not match their checksum {expected}: delete {path.resolve()}, then load it again")
    return path


def _checksums(path: Path) -> tuple[str, str]:
    """The name of a cached file's blob, empty where there is no link to one, and what its bytes make of it, empty if it is no checksum."""
    name = path.readlink().name if path.is_symlink() else ""
    digests = {64: hashlib.sha256(), 40: hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)}
    if len(name) not in digests:
        return name, ""
    with path.open("rb") as file:
        return name, hashlib.file_digest(file, lambda: digests[len(name)]).hexdigest()


def _complaint(error: BaseException, repository: str, revision: str) -> str:
    """What kept a file from being had, and what to do, in one line."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.LocalEntryNotFoundError):  # "not in the cache": why the Hub did not answer stands behind it
        error = error.__cause__ or error
    match error:
        case errors.OfflineModeIsEnabled():
            return "not in the cache, and offline mode forbids to ask for it: unset HF_HUB_OFFLINE"
        case errors.RevisionNotFoundError():
            return f"{repository} has no revision {revision!r}: give one of its branches, tags or commits"
        case errors.EntryNotFoundError():
            return f"{repository} has no such file at revision {revision!r}: look at {constants.ENDPOINT}/{repository}"
        case errors.GatedRepoError():
            return f"{repository} is gated: accept its terms at {constants.ENDPOINT}/{repository}, then 'hf auth login' or set HF_TOKEN"
        case errors.HfHubHTTPError() if error.response.status_code in (401, 403, 404):
            status = error.response.status_code
            return f"{repository} is not there, or private (HTTP {status}): check its name, or 'hf auth login' or set HF_TOKEN"
        case OSError(errno=int()):
            return f"{error}: the cache, {constants.HF_HUB_CACHE}, must have room, and be yours to read and write"
    reason = str(error).partition("\n")[0]
    return f"download failed ({type(error).__name__}: {reason}): check the network and {constants.ENDPOINT} (HF_ENDPOINT), then try again"
