import io
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sgaudio.audio.files import Header, Reader, read, read_header, replacement, write, writing
from sgaudio.audio.formats import BITS, HOLDS, STREAM, SUFFIXES, Format, fitting
from sgaudio.audio.wav_pipe import SUBTYPES, WavPipeReader, WavPipeWriter
from sgaudio.errors import AudioError, ConfigError

CONTAINERS = [container for container in HOLDS if container != STREAM]
FORMATS = [(container, subtype) for container in CONTAINERS for subtype in HOLDS[container]]
LOSSY = {"OGG", "MP3"}


def suffix(container: str) -> str:
    return ".wav" if container == "WAVEX" else next(suffix for suffix, name in SUFFIXES.items() if name == container)


def sound(channels: int = 2, frames: int = 5_000) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, (channels, frames)).astype(np.float32)


def encoded(container: str = "WAV", subtype: str = "PCM_16", frames: int = 16_000) -> bytearray:
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(np.arange(frames) * 0.05), 16_000, format=container, subtype=subtype)
    return bytearray(file.getvalue())


def patched(size: int, subtype: str = "PCM_16") -> bytearray:
    """A WAV whose header claims another size of its sound."""
    file = encoded("WAV", subtype)
    place = file.find(b"data") + 4
    file[place : place + 4] = struct.pack("<I", size)
    return file


def saved(path: Path, content: bytes | bytearray) -> Path:
    path.write_bytes(content)
    return path


def all_of(reader: Reader, size: int = 1_000) -> np.ndarray:
    return np.concatenate([np.zeros((reader.channels, 0), np.float32), *reader.blocks(size)], 1)


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
def test_every_format_comes_back_as_it_was_written(tmp_path, container, subtype):
    path = tmp_path / f"a{suffix(container)}"
    waveform = sound()
    with writing(path, 48_000, 2, Format(container, subtype), frames=5_000) as writer:
        for start in range(0, 5_000, 997):
            writer.write(waveform[:, start : start + 997])
    with Reader(path) as reader:
        found = all_of(reader)
        assert (reader.format.container, reader.format.subtype) == (container, subtype)
        assert (reader.sample_rate, reader.channels, reader.frames, reader.warnings) == (48_000, 2, 5_000, [])
    assert found.shape == waveform.shape
    error = np.abs(found - waveform).max()
    if subtype in ("FLOAT", "DOUBLE"):
        assert error == 0
    elif subtype in BITS and "LAW" not in subtype:
        assert error <= 0.5 / 2 ** (BITS[subtype] - 1) + 2.0**-25  # half a level, and half a step of float32 itself
    elif container not in LOSSY:
        assert error < 0.03


@pytest.mark.parametrize(("container", "subtype"), [(c, s) for c, s in FORMATS if s in BITS and BITS[s] <= 24])
def test_what_integers_hold_is_written_again_bit_for_bit(tmp_path, container, subtype):
    first, second = tmp_path / f"a{suffix(container)}", tmp_path / f"b{suffix(container)}"
    with writing(first, 16_000, 2, Format(container, subtype)) as writer:
        writer.write(np.concatenate([sound(), [[1], [-1]]], 1))
    write(second, *read(first), like=first)
    assert np.array_equal(read(first)[0], read(second)[0])


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3", "AIFF", "CAF", "W64"])
@settings(max_examples=10)
@given(sizes=st.lists(st.integers(1, 3_000), min_size=1, max_size=5), frames=st.integers(1, 4_000))
def test_reading_does_not_depend_on_the_cut(tmp_path_factory, container, sizes, frames):
    path = tmp_path_factory.mktemp("cut") / f"a{suffix(container)}"
    write(path, sound(1, frames), 16_000)
    whole, _ = read(path)
    assert whole.shape == (1, frames)
    for size in sizes:
        with Reader(path) as reader:
            assert np.allclose(all_of(reader, size), whole, atol=2e-6)


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
def test_a_part_of_a_file_is_that_part_of_all_of_it(tmp_path, container, subtype):
    path = tmp_path / f"a{suffix(container)}"
    with writing(path, 48_000, 2, Format(container, subtype), frames=50_000) as writer:
        writer.write(sound(2, 50_000))
    whole, _ = read(path)
    assert read_header(path) == Header(48_000, 2, 50_000)
    for start, stop in ((0, 1), (0, 50_000), (12_345, 45_678), (49_999, 50_000), (30_000, None), (7, 7), (50_000, None)):
        part, rate = read(path, start, stop)
        assert rate == 48_000
        assert part.shape == whole[:, start:stop].shape
        assert np.allclose(part, whole[:, start:stop], rtol=0, atol=1e-7 if container == "MP3" else 0)


def test_a_part_of_what_comes_through_a_pipe_is_that_part_of_all_of_it(tmp_path):
    whole, _ = read(saved(tmp_path / "whole.wav", encoded(frames=200_000)))
    path = saved(tmp_path / "a.wav", encoded(frames=200_000).replace(struct.pack("<4sI", b"data", 400_000), b"data" + bytes(4)))
    assert read_header(path) == Header(16_000, 1, 200_000)
    for start, stop in ((0, 500), (150_000, 150_100), (199_000, None)):
        assert np.array_equal(read(path, start, stop)[0], whole[:, start:stop])


@pytest.mark.parametrize(("start", "stop"), [(0, 16_001), (15_000, 17_000), (17_000, 18_000)])
@pytest.mark.parametrize("size", [32_000, 0])
def test_a_part_that_a_file_does_not_have_is_refused(tmp_path, start, stop, size):
    path = saved(tmp_path / "a.wav", patched(size))
    with pytest.raises(AudioError, match=rf"a\.wav: truncated: it ends before sample {stop}, which is wanted"):
        read(path, start, stop)


def test_a_part_that_is_damaged_is_refused(tmp_path):
    write(tmp_path / "a.flac", sound(1, 50_000), 16_000)
    saved(tmp_path / "a.flac", (tmp_path / "a.flac").read_bytes()[:20_000])
    with pytest.raises(AudioError, match=r"a\.flac: damaged: sample 40000 is not found"):
        read(tmp_path / "a.flac", 40_000, 41_000)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW"])
def test_integers_clamp_and_count_what_is_beyond_full_scale(tmp_path, subtype):
    waveform = np.array([[0, 1, -1, 1.5, -20, 0.5]], np.float32)
    with writing(tmp_path / "a.wav", 16_000, 1, Format("WAV", subtype)) as writer:
        writer.write(waveform)
    assert writer.clamped == 2
    assert np.allclose(read(tmp_path / "a.wav")[0], waveform.clip(-1, 1), atol=0.03)


def test_floats_keep_what_is_beyond_full_scale(tmp_path):
    write(tmp_path / "a.wav", [20.0, -20.0], 16_000)
    assert read(tmp_path / "a.wav")[0].tolist() == [[20.0, -20.0]]


def test_integers_refuse_what_is_no_number(tmp_path):
    with pytest.raises(AudioError, match="not finite"):
        write(tmp_path / "a.wav", [0.0, np.nan], 16_000, subtype="PCM_16")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "FLAC", "OGG", "CAF", "AIFF"])
def test_tags_are_kept(tmp_path, container):
    tags = {"title": "Größe", "artist": "B"} | ({"album": "C"} if container != "AIFF" else {})
    with writing(tmp_path / f"a{suffix(container)}", 16_000, 1, Format(container, HOLDS[container][0]), tags) as writer:
        writer.write(sound(1))
    assert writer.warnings == []
    with Reader(tmp_path / f"a{suffix(container)}") as reader:
        assert reader.tags == tags


def test_tags_that_a_container_cannot_hold_are_told(tmp_path):
    with writing(tmp_path / "a.w64", 16_000, 1, tags={"title": "A"}) as writer:
        pass
    assert writer.warnings == ["W64 cannot hold: title"]
    with writing(tmp_path / "a.mp3", 16_000, 1, tags={"title": "Größe", "artist": "B"}) as writer:
        writer.write(sound(1))
    assert writer.warnings == ["MP3 cannot hold: title"]
    with Reader(tmp_path / "a.mp3") as reader:
        assert reader.tags == {"artist": "B"}


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("a.wav", ("WAV", "PCM_24"), ("WAV", "PCM_24")),
        ("a.wav", ("RF64", "PCM_24"), ("RF64", "PCM_24")),
        ("a.wav", ("WAVEX", "FLOAT"), ("WAVEX", "FLOAT")),
        ("a.wav", ("FLAC", "PCM_S8"), ("WAV", "PCM_U8")),
        ("a.wav", ("MP3", "MPEG_LAYER_III"), ("WAV", "PCM_16")),
        ("a.flac", ("WAV", "FLOAT"), ("FLAC", "PCM_24")),
        ("a.flac", ("WAV", "PCM_U8"), ("FLAC", "PCM_S8")),
        ("a.flac", ("OGG", "OPUS"), ("FLAC", "PCM_16")),
        ("a.ogg", ("OGG", "OPUS"), ("OGG", "OPUS")),
        ("a.ogg", ("WAV", "PCM_16"), ("OGG", "VORBIS")),
        ("a.OPUS", ("OGG", "VORBIS"), ("OGG", "OPUS")),
        ("a.mp3", ("MP3", "MPEG_LAYER_II"), ("MP3", "MPEG_LAYER_III")),
        ("a.aif", ("WAV", "DOUBLE"), ("AIFF", "DOUBLE")),
        ("a", ("W64", "ALAW"), ("W64", "ALAW")),
        ("-", ("FLAC", "PCM_24"), (STREAM, "PCM_24")),
        ("-", ("WAV", "ULAW"), (STREAM, "PCM_16")),
    ],
)
def test_the_suffix_says_the_container_and_the_sample_format_is_kept_if_it_can(name, source, expected):
    format = fitting(name, 48_000, 2, Format(*source))
    assert (format.container, format.subtype) == expected


@pytest.mark.parametrize(
    ("name", "rate", "channels", "cause", "other"),
    [
        ("a.opus", 44_100, 1, "Opus holds 8000, 12000, 16000, 24000, 48000 Hz", ".flac"),
        ("a.mp3", 48_000, 3, "MP3 holds .* up to 2 channels; this has 48000 Hz and 3", ".flac"),
        ("a.mp3", 96_000, 2, "MP3 holds", ".flac"),
        ("a.ogg", 384_000, 2, "Vorbis holds up to 200000 Hz", ".flac"),
        ("a.flac", 48_000, 9, "FLAC holds up to 655350 Hz and up to 8 channels", ".wav"),
        ("a.mp3", 48_000, 9, "MP3 holds", ".wav"),
    ],
)
def test_a_format_that_cannot_hold_the_sound_is_refused_and_another_one_named(tmp_path, name, rate, channels, cause, other):
    with pytest.raises(AudioError, match=f"{name}: {cause}.*: name it {other}$"):
        write(tmp_path / name, np.zeros((channels, 10)), rate)
    assert not list(tmp_path.iterdir())
    write((tmp_path / name).with_suffix(other), np.zeros((channels, 10)), rate)


def test_a_wav_of_more_than_4_gigabytes_becomes_an_rf64():
    assert fitting("a.wav", 48_000, 2, Format("WAV", "PCM_16"), frames=2**31).container == "RF64"
    assert fitting("a.wav", 48_000, 2, Format("WAV", "PCM_16"), frames=2**29).container == "WAV"
    with pytest.raises(AudioError, match=r"AIFF holds up to 4 GB of samples: name it \.caf"):
        fitting("a.aiff", 48_000, 2, Format("WAV", "PCM_16"), frames=2**31)


def test_an_unknown_sample_format_is_answered_with_the_near_ones(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'PCM_16'"):
        write(tmp_path / "a.wav", [0.0], 16_000, subtype="PCM16")


def with_field(place: int, code: str, value: int) -> bytearray:
    file = encoded()
    file[place : place + struct.calcsize(code)] = struct.pack(code, value)
    return file


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", r"empty file \(0 bytes\)"),
        (b"Dear diary,\n" * 40, r"no sound that can be read \(Format not recognised\)"),
        (b"RIFF", r"half a WAV header \(file is 4 bytes, 44 needed\)"),
        (encoded()[:20], r"half a WAV header \(file is 20 bytes, 44 needed\)"),
        (encoded()[:43], r"half a WAV header \(file is 43 bytes, 44 needed\)"),
        (encoded("RF64")[:60], r"half a RF64 header \(file is 60 bytes, \d+ needed\)"),
        (encoded("AIFF")[:30], r"half a AIFF header \(file is 30 bytes, 54 needed\)"),
        (encoded("CAF")[:60], r"half a CAF header \(file is 60 bytes, \d+ needed\)"),
        (encoded("W64")[:80], r"half a W64 header \(file is 80 bytes, 112 needed\)"),
        (encoded("FLAC")[:20], "no sound that can be read"),
        (encoded("OGG", "VORBIS")[:20], "no sound that can be read"),
        (with_field(24, "<I", 0), "sample rate is 0 Hz, expected 1000 to 768000"),
        (with_field(24, "<I", 999), "sample rate is 999 Hz, expected 1000 to 768000"),
        (with_field(24, "<I", 2_000_000_000), "sample rate is 2000000000 Hz, expected 1000 to 768000"),
        (with_field(22, "<H", 0), "no sound that can be read"),
        (encoded("WAV", "IMA_ADPCM"), "WAV with IMA_ADPCM is not read: convert it to WAV or FLAC"),
        (encoded("AU"), "AU with PCM_16 is not read"),
        (encoded("FLAC")[:3_000], r"damaged after \d\.\d s \(flac decoder lost sync\)"),
    ],
)
def test_what_is_no_sound_gives_one_line_that_names_file_and_cause(tmp_path, content, cause):
    path = saved(tmp_path / "a.wav", content)
    with pytest.raises(AudioError, match=cause) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_what_is_not_there_gives_one_line(tmp_path):
    with pytest.raises(AudioError, match=r"a\.wav: no such file or directory"):
        read(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="is a directory"):
        read(tmp_path)
    with pytest.raises(AudioError, match="cannot be written"):
        write(tmp_path / "missing" / "a.wav", [0.0], 16_000)


@settings(max_examples=200)
@given(
    content=st.binary(max_size=200), magic=st.sampled_from([b"", b"RIFF", b"RIFX", b"RF64", b"FORM", b"caff", b"riff", b"OggS", b"fLaC"])
)
def test_any_bytes_are_sound_or_an_audio_error(tmp_path_factory, content, magic):
    path = saved(tmp_path_factory.getbasetemp() / "any.wav", magic + content)
    complaint = None
    try:
        with Reader(path) as reader:
            samples, channels = all_of(reader), reader.channels
    except AudioError as error:
        complaint = str(error)
    if complaint is None:
        assert (samples.dtype, len(samples)) == (np.float32, channels)
    else:
        assert complaint.startswith(f"{path}: ")
        assert "\n" not in complaint


def test_a_header_of_2_to_the_36_frames_allocates_nothing(tmp_path):
    content = encoded("FLAC")
    content[18:26] = (int.from_bytes(content[18:26]) | (2**36 - 1)).to_bytes(8)
    path = saved(tmp_path / "a.flac", content)
    tracemalloc.start()
    with pytest.warns(UserWarning, match="truncated: the header claims 68719476735 samples, 16000 are there"):
        waveform, _ = read(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    assert waveform.shape == (1, 16_000)


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "W64", "AIFF"])
def test_a_cut_file_is_read_to_its_end_with_a_warning(tmp_path, container):
    whole = encoded(container)
    with Reader(saved(tmp_path / "a", whole)) as reader:
        assert reader.warnings == []
        samples = all_of(reader)
    with Reader(saved(tmp_path / "a", whole[:-20_000])) as reader:
        assert len(reader.warnings) == 1
        assert "truncated: the header claims" in reader.warnings[0]
        assert np.array_equal(all_of(reader), samples[:, : reader.frames])
        assert reader.frames == 6_000


def test_a_cut_mp3_and_a_cut_ogg_are_read_with_a_warning(tmp_path):
    for container, subtype in (("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")):
        whole = encoded(container, subtype, 160_000)
        for content in (whole[: len(whole) * 2 // 3], whole):
            with Reader(saved(tmp_path / "a", content)) as reader:
                all_of(reader)
                assert len(reader.warnings) == (content is not whole)


def test_sound_followed_by_other_chunks_is_whole(tmp_path):
    for size in (32_000, 0):
        file = encoded("WAV", frames=size // 2) + b"LIST" + struct.pack("<I", 4) + b"INFO"
        with Reader(saved(tmp_path / "a.wav", file)) as reader:
            assert reader.warnings == []
            assert all_of(reader).shape == (1, size // 2)


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x7FFF_F000, 0x8000_0000, 0xFFFF_FFDB])
@pytest.mark.parametrize("subtype", SUBTYPES.values())
def test_a_wav_that_does_not_know_its_length_is_read_to_the_end(tmp_path, size, subtype):
    whole, _ = read(saved(tmp_path / "whole.wav", encoded("WAV", subtype)))
    with Reader(saved(tmp_path / "a.wav", patched(size, subtype))) as reader:
        assert np.array_equal(all_of(reader), whole)
        assert reader.warnings == []


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_recording_of_no_samples_stays_one(tmp_path, container):
    path = tmp_path / f"a{suffix(container)}"
    if container == "MP3":
        with pytest.raises(AudioError, match=r"MP3 cannot hold a recording of no samples: name it \.wav"):
            write(path, np.zeros((2, 0)), 16_000)
    else:
        write(path, np.zeros((2, 0)), 16_000)
        assert read(path)[0].shape == (2, 0)


class Dripping(io.BytesIO):
    """A stream whose reads are short."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 7))


@settings(max_examples=50)
@given(
    subtype=st.sampled_from(sorted(SUBTYPES.values())),
    waveform=arrays(np.float32, st.tuples(st.integers(0, 50), st.integers(1, 5)), elements=st.floats(-1, 1, width=32)),
    block=st.integers(1, 60),
)
def test_what_goes_into_a_pipe_comes_out_of_it(subtype, waveform, block):
    stored = waveform
    if subtype in BITS:
        stored = waveform.astype(np.float64) * 2.0**31
        stored = stored.clip(-(2**31), 2**31 - 1).astype(np.int32) >> (32 - BITS[subtype]) << (32 - BITS[subtype])
    stream = io.BytesIO()
    writer = WavPipeWriter(stream, 44_100, waveform.shape[1], subtype)
    writer.write(stored[:20])
    writer.write(stored[20:])
    reader = WavPipeReader(Dripping(stream.getvalue()), "pipe")
    assert (reader.samplerate, reader.channels, reader.frames, reader.subtype) == (44_100, waveform.shape[1], None, subtype)
    blocks = []
    while len(part := reader.read(block)):
        blocks.append(part)
    found = np.concatenate([waveform[:0], *blocks])
    expected = stored.astype(np.float32) / np.float32(2**31) if subtype in BITS else waveform
    assert np.array_equal(found, expected)
    with soundfile.SoundFile(io.BytesIO(stream.getvalue())) as file:
        assert file.subtype == subtype
        assert np.array_equal(file.read(len(waveform), "float32", always_2d=True), expected)


@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", SUBTYPES.values())
def test_the_wav_of_other_programs_is_read_from_a_pipe(container, subtype):
    content = encoded(container, subtype)
    place = content.find(b"data")
    content[place:place] = b"LIST" + struct.pack("<I", 5) + b"INFO!\0"
    reader = WavPipeReader(io.BytesIO(content), "pipe")
    expected, _ = soundfile.read(io.BytesIO(encoded(container, subtype)), dtype="float32", always_2d=True)
    assert reader.frames == 16_000
    assert np.array_equal(reader.read(20_000), expected)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "half a WAV header"),
        (encoded()[:30], "half a WAV header"),
        (encoded("FLAC"), "not a WAV stream .*: only WAV is read from a pipe"),
        (encoded("WAV", "ULAW"), "a WAV stream of another kind"),
        (with_field(22, "<H", 0), "a WAV stream of another kind"),
        (with_field(16, "<I", 2**31), "a WAV header with 2147483648 bytes of format"),
    ],
)
def test_what_is_no_wav_in_a_pipe_gives_one_line(content, cause):
    with pytest.raises(AudioError, match=f"pipe: {cause}"):
        WavPipeReader(io.BytesIO(content), "pipe")


def test_a_named_pipe_is_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = threading.Thread(target=pipe.write_bytes, args=(bytes(patched(0xFFFF_FFFF)),))
    thread.start()
    assert read(pipe)[0].shape == (1, 16_000)
    thread.join()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_writer_leaves_the_old_file_and_no_other(tmp_path, error):
    path = saved(tmp_path / "a.wav", encoded())
    with suppress(error), writing(path, 16_000, 1) as writer:
        writer.write(sound(1))
        raise error
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == encoded()


def test_a_killed_process_leaves_no_half_file_under_the_final_name(tmp_path):
    program = (
        "import sys, numpy; from sgaudio.audio.files import writing\n"
        "with writing(sys.argv[1], 16_000, 1) as writer:\n"
        "    writer.write(numpy.zeros((1, 100_000), numpy.float32)); print('half', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", program, tmp_path / "a.wav"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "a.wav").exists()
    assert all(path.name.startswith(".") and path.suffix == ".part" for path in tmp_path.iterdir())


def test_a_full_disk_gives_one_line_and_leaves_nothing(tmp_path):
    program = (
        "import resource, signal, sys, numpy; from sgaudio.audio.files import write; from sgaudio.errors import AudioError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: write(sys.argv[1], numpy.zeros((1, 100_000), numpy.float32), 16_000)\n"
        "except AudioError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "a.wav"], capture_output=True, text=True, check=True)
    assert "is the disk full?" in done.stdout
    assert not list(tmp_path.iterdir())


def test_something_else_than_a_file_is_not_replaced(tmp_path):
    with pytest.raises(AudioError, match="exists and is no regular file"):
        write("/dev/null", [0.0], 16_000)
    with pytest.raises(AudioError, match="exists and is no regular file"):
        write(tmp_path, [0.0], 16_000)


def test_arrays_and_tensors_of_one_or_two_dimensions_are_written(tmp_path):
    waveform = sound(2, 100)
    for given_waveform in (waveform, torch.from_numpy(waveform).requires_grad_(), waveform.astype(np.float64)):
        write(tmp_path / "a.wav", given_waveform, 22_050)
        found, rate = read(tmp_path / "a.wav")
        assert rate == 22_050
        assert np.array_equal(found, waveform)
    write(tmp_path / "a.wav", waveform[0], 22_050)
    assert np.array_equal(read(tmp_path / "a.wav")[0], waveform[:1])


def test_writing_like_another_file_keeps_its_sample_format_and_tags(tmp_path):
    with writing(tmp_path / "a.flac", 16_000, 1, Format("FLAC", "PCM_24"), {"title": "A"}) as writer:
        writer.write(sound(1))
    write(tmp_path / "b.wav", sound(1), 16_000, like=tmp_path / "a.flac")
    with Reader(tmp_path / "b.wav") as reader:
        assert (reader.format.subtype, reader.tags) == ("PCM_24", {"title": "A"})


def test_writing_warns_of_clamped_samples(tmp_path):
    with pytest.warns(UserWarning, match="samples beyond full scale clamped: 2"):
        write(tmp_path / "a.wav", [0.0, 2.0, -2.0], 16_000, subtype="PCM_16")


@pytest.mark.skipif(sys.platform != "linux", reason="names are any bytes on Linux only")
def test_a_name_that_is_no_text_is_a_name(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    write(path, sound(1), 16_000)
    assert np.array_equal(read(path)[0], sound(1))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers that interrupt")
def test_an_interruption_at_any_moment_leaves_no_temporary_file(tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for microseconds in range(1, 300):
            with suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 1e-6 * microseconds)
                with replacement(tmp_path / "a.wav"):
                    time.sleep(1e-3)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not list(tmp_path.iterdir())
