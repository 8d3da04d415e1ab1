"""Against a local stand-in that answers huggingface_hub as the Hub does (its documentation: hf_hub_url, get_hf_file_metadata)."""

import hashlib
import importlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from sgaudio.errors import CheckpointError, ConfigError
from sgaudio.models import hub as door
from sgaudio.models import load

ADDRESS = "hf://ann/models/small/tiny.safetensors"
RESOLVED = "/ann/models/resolve/main/small/tiny.safetensors"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GIT = hashlib.sha1(f"blob {len(CONTENT)}\0".encode() + CONTENT).hexdigest()


class Hub(ThreadingHTTPServer):
    """One file, by any address but for `refusal`; where it is large (its ETag a sha256) the Hub sends the client on to a store."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.etag, self.size = CONTENT, SHA256, len(CONTENT)
        self.refusal: tuple[int, str] | None = None
        self.asked: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self):
        self.shutdown()
        self.server_close()

    def resolved(self) -> list[str]:
        """Files that were asked for; the client's own telemetry left out."""
        return [asked for asked in self.asked if "/api/" not in asked]


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        hub = cast(Hub, self.server)
        hub.asked.append(f"{self.command} {self.path}")
        if self.path.startswith("/store/"):
            self.reply(200, {"ETag": '"of-the-store"'}, hub.content)
        elif "/resolve/" not in self.path:
            self.reply(404, {})
        elif hub.refusal:
            self.reply(hub.refusal[0], {"X-Error-Code": hub.refusal[1]})
        elif len(hub.etag) == 64:
            linked = {"X-Linked-Etag": f'"{hub.etag}"', "X-Linked-Size": str(hub.size)}
            self.reply(302, linked | {"X-Repo-Commit": COMMIT, "Location": f"http://localhost:{hub.server_port}/store/{hub.etag}"})
        else:
            self.reply(200, {"ETag": f'"{hub.etag}"', "X-Repo-Commit": COMMIT}, hub.content)

    do_HEAD = do_GET  # noqa: N815

    def reply(self, status, headers, content=b""):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format, *args):
        pass


@pytest.fixture
def hub(tmp_path):
    """The Hub that the environment names, with an empty cache."""
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import close_session, constants

    server = Hub()
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING")) or name == "TRANSFORMERS_OFFLINE"]:
            environment.delenv(name)
        environment.setenv("HF_ENDPOINT", server.endpoint)
        environment.setenv("HF_HOME", str(tmp_path / "home"))
        environment.setenv("NO_PROXY", "127.0.0.1,localhost")
        importlib.reload(constants)  # it reads the environment
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        yield server
        server.stop()
        close_session()
    importlib.reload(constants)


def refused(address=ADDRESS):
    """The line of a CheckpointError, with the address before it."""
    with pytest.raises(CheckpointError) as caught:
        door.fetch(address)
    line = str(caught.value)
    assert line.startswith(f"{address}: ")
    assert "\n" not in line
    return line.removeprefix(f"{address}: ")


def damage(path: Path) -> Path:
    """Another byte in it; the file itself, behind its links."""
    file = path.resolve()
    file.chmod(0o600)
    file.write_bytes(b"X" + CONTENT[1:])
    return file


# What is got


@pytest.mark.parametrize("etag", [SHA256, GIT], ids=["large file", "small file"])
def test_a_file_is_downloaded_once_and_comes_from_the_cache_without_network_after_that(hub, etag):
    hub.etag = etag
    path = door.fetch(ADDRESS)
    assert path.name == "tiny.safetensors"
    assert path.read_bytes() == CONTENT
    asked = list(hub.asked)
    assert door.fetch(ADDRESS) == path
    assert hub.asked == asked


def test_only_the_file_itself_is_asked_for(hub):
    hub.etag = GIT
    door.fetch(ADDRESS)
    assert hub.resolved() == [f"HEAD {RESOLVED}", f"GET {RESOLVED}"]


@pytest.mark.parametrize("revision", ["v1.0", COMMIT])
def test_a_revision_is_asked_for_as_it_is_given(hub, revision):
    address = ADDRESS.replace("/small", f"@{revision}/small")
    path = door.fetch(address)
    assert hub.resolved()[0] == f"HEAD {RESOLVED.replace('main', revision)}"
    hub.refusal = 500, ""
    assert door.fetch(address) == path


def test_a_name_may_hold_what_trainers_and_people_write(hub):
    assert door.fetch("hf://ann/models/größer/epoch=115,si-sdr=17.3+ema.safetensors").name == "epoch=115,si-sdr=17.3+ema.safetensors"


def test_a_model_loads_from_the_mirror_of_the_environment_and_again_when_that_is_gone(hub, tiny):
    hub.content = tiny.read_bytes()
    hub.etag, hub.size = hashlib.sha256(hub.content).hexdigest(), len(hub.content)
    program = f"from sgaudio.models import hub, load; print(load(hub.fetch({ADDRESS!r}), device='cpu').config)"
    command = [sys.executable, "-c", program]
    first = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert first == f"{load(tiny, device='cpu').config}\n"
    assert hub.resolved()
    hub.stop()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == first


# What is refused


def test_a_damaged_file_of_the_cache_is_refused_and_the_one_to_delete_is_named(hub):
    file = damage(door.fetch(ADDRESS))
    assert refused() == f"its bytes do not match their checksum {SHA256}: delete {file}, then load it again"
    file.unlink()
    assert door.fetch(ADDRESS).read_bytes() == CONTENT


def test_a_blob_that_repositories_share_is_checked_by_the_name_that_the_hub_gave(hub):
    path = door.fetch(ADDRESS)
    blob = path.resolve()
    shared = blob.with_name("f" * 64)
    blob.rename(shared)
    blob.symlink_to(shared)
    assert door.fetch(ADDRESS) == path
    damage(path)
    assert refused() == f"its bytes do not match their checksum {SHA256}: delete {shared}, then load it again"
    shared.unlink()
    assert door.fetch(ADDRESS).read_bytes() == CONTENT


@pytest.mark.parametrize("etag", [SHA256, GIT], ids=["large file", "small file"])
def test_other_bytes_than_the_hub_announced_are_refused(hub, etag):
    hub.etag, hub.content = etag, b"X" + CONTENT[1:]
    assert f"do not match their checksum {etag}: delete " in refused()
    assert f"do not match their checksum {etag}: delete " in refused()  # from the cache now


def test_more_bytes_than_the_hub_announced_are_refused(hub):
    hub.content = CONTENT + b"X"
    assert "download failed (OSError: Consistency check failed: file should be of size 10240 but has size 10241" in refused()


def test_a_file_whose_checksum_nobody_gave_is_refused_and_loads_by_its_path(hub):
    hub.etag = "v7"
    line = refused()
    assert line.startswith("the cache keeps no checksum of it (v7): to load it unchecked, give /")
    assert Path(line.partition("give ")[2]).read_bytes() == CONTENT


def test_a_cache_without_links_is_refused_and_its_file_loads_by_its_path(hub):
    path = door.fetch(ADDRESS)
    path.resolve().replace(path)  # as where the disk knows no links
    assert refused() == f"the cache keeps no checksum of it (no link): to load it unchecked, give {path}"


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        ((404, "EntryNotFound"), "ann/models has no such file at revision 'main': look at {endpoint}/ann/models"),
        ((404, "RevisionNotFound"), "ann/models has no revision 'main': give one of its branches, tags or commits"),
        ((404, "RepoNotFound"), "ann/models is not there, or private (HTTP 404): check its name, or 'hf auth login' or set HF_TOKEN"),
        ((404, ""), "ann/models is not there, or private (HTTP 404): check its name, or 'hf auth login' or set HF_TOKEN"),
        ((401, ""), "ann/models is not there, or private (HTTP 401): check its name, or 'hf auth login' or set HF_TOKEN"),
        ((403, ""), "ann/models is not there, or private (HTTP 403): check its name, or 'hf auth login' or set HF_TOKEN"),
        (
            (401, "GatedRepo"),
            "ann/models is gated: accept its terms at {endpoint}/ann/models, then 'hf auth login' or set HF_TOKEN",
        ),
        (
            (403, "GatedRepo"),
            "ann/models is gated: accept its terms at {endpoint}/ann/models, then 'hf auth login' or set HF_TOKEN",
        ),
    ],
)
def test_what_the_hub_does_not_give_is_told_in_one_line(hub, refusal, line):
    hub.refusal = refusal
    assert refused() == line.format(endpoint=hub.endpoint)


@pytest.mark.parametrize("trouble", ["HfHubHTTPError: Server error '503 Service Unavailable'", "ConnectError: "])
def test_a_hub_that_is_down_is_told_in_one_line(hub, trouble, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # it tries again after that
    if "503" in trouble:
        hub.refusal = 503, ""
    else:
        hub.stop()
    line = refused()
    assert line.startswith(f"download failed ({trouble}")
    assert line.endswith(f"): check the network and {hub.endpoint} (HF_ENDPOINT), then try again")


def test_offline_mode_takes_what_is_cached_and_tells_what_is_not(hub, monkeypatch):
    path = door.fetch(ADDRESS)
    asked = list(hub.asked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert door.fetch(ADDRESS) == path
    assert refused("hf://ann/models/other.safetensors") == "not in the cache, and offline mode forbids to ask for it: unset HF_HUB_OFFLINE"
    assert hub.asked == asked


def test_a_cache_that_cannot_be_written_is_told_in_one_line(hub, tmp_path):
    (tmp_path / "home").write_text("A file, no folder.")
    cache = tmp_path / "home" / "hub"
    assert refused().endswith(f": the cache, {cache}, must have room, and be yours to read and write")


@pytest.mark.parametrize(
    "address",
    [
        "hf://",
        "hf://ann",
        "hf://ann/models",
        "hf://ann/models/",
        "hf://tiny.safetensors",
        "hf://ann/tiny.safetensors",
        "hf://ann//tiny.safetensors",
        "hf://ann/models/small/",
        "hf://ann/models/small//tiny.safetensors",
        "hf://ann/models//tiny.safetensors",
        "hf://ann/models/../tiny.safetensors",
        "hf://ann/models/small/../../tiny.safetensors",
        "hf://ann/models/./tiny.safetensors",
        "hf://ann/models/.safetensors",
        "hf://ann/models/ti ny.safetensors",
        "hf://some one/models/tiny.safetensors",
        "hf://ann/models/tiny.safetensors\n",
        "hf://ann/models/tiny.safetensors?download=true",
        r"hf://ann/models/..\tiny.safetensors",
        "hf://ann/models/C:/tiny.safetensors",
        "hf://ann/models/tiny.ckpt",
        "hf://ann/models/tiny",
        "hf://ann/models@/tiny.safetensors",
        "hf://ann/models@../tiny.safetensors",
        "hf://ann/models@a@b/tiny.safetensors",
        "hf://ann@main/models/tiny.safetensors",
        "hf:/ann/models/tiny.safetensors",
        "https://ann/models/tiny.safetensors",
        "HF://ann/models/tiny.safetensors",
    ],
)
def test_what_is_no_address_of_a_model_is_refused_before_anything_is_loaded(address, monkeypatch):
    monkeypatch.setattr(door, "find_spec", lambda module: pytest.fail("looked for huggingface_hub"))
    with pytest.raises(ConfigError) as caught:
        door.fetch(address)
    expected = "expected hf://owner/repository[@revision]/path.safetensors"
    assert str(caught.value) == f"{address!r} is not the address of a model: {expected}"


@pytest.mark.parametrize("repository", ["../models", "ann/..", "ann/a--b", "ann/.models", "ann/models.git", f"ann/{'a' * 97}"])
def test_a_repository_that_cannot_be_is_refused_before_anything_is_asked(hub, tmp_path, repository):
    with pytest.raises(ConfigError, match=r"(?i)repo.id"):
        door.fetch(f"hf://{repository}/tiny.safetensors")
    assert not hub.asked
    assert not (tmp_path / "home").exists()


def test_without_huggingface_hub_the_line_that_brings_it_is_told(monkeypatch):
    monkeypatch.setattr(door, "find_spec", lambda module: None)
    with pytest.raises(ConfigError) as caught:
        door.fetch(ADDRESS)
    assert str(caught.value) == f"{ADDRESS}: huggingface_hub is not installed: pip install 'sgaudio[hub]'"


def test_models_load_no_huggingface_hub_until_one_is_asked_for():
    program = "import sys; import sgaudio.models.hub; assert 'huggingface_hub' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
