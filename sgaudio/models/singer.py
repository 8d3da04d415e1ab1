"""The acoustic model of a singing voice: from phones and their notes to a log mel spectrogram, by shallow diffusion.

DiffSinger (Liu et al. 2022, 2105.02446): a simple decoder makes a blurred mel, noise covers what it blurred, and a diffusion model walks
back from there. That is a warm start and nothing else, so any process without a noisy sound, and any solver, will do:

    song -> encoder -> durations -> frames -> F0 -> condition -+-> auxiliary mel -> normalised -> + noise = the state at `start`
                                                               '-> projected, once ------------> walk from `start` to 0 -> log mel

A start at 0 is the auxiliary mel itself; one at 1 is noise alone, for which no auxiliary mel is made. A `Voice` adds the vocoder.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from sgaudio.audio.mel import MelSpectrogram
from sgaudio.errors import ConfigError
from sgaudio.models.enhancer import START, random_noise
from sgaudio.models.sampling import Sampling, choose
from sgaudio.models.singing_losses import duration_losses, masked_mean, pitch_losses, structural_similarity
from sgaudio.nets.fastspeech2_midi import FastSpeech2Midi, FastSpeech2MidiConfig, expand, predicted_frames, regulate
from sgaudio.nets.nsf_hifigan import Draws, NSFHiFiGAN, NSFHiFiGANConfig
from sgaudio.nets.wavenet import WaveNet, WaveNetConfig
from sgaudio.processes import DDPM, Conversion, Prediction, Process, RectifiedFlow
from sgaudio.processes.chain import Chain
from sgaudio.processes.prediction import Times
from sgaudio.registry import Range, check, check_value, nearest
from sgaudio.solvers import Plan, keyed_noise, sample
from sgaudio.solvers.sample import Noise, matched_noise

LARGEST_NOTE = 127
TIME = 1000  # a network of steps tells such numbers apart: what it is told where time runs from 0 to 1 is made as large

Stage = Literal["auxiliary", "diffusion", "together"]


@dataclass(frozen=True)
class SingerConfig:
    """Everything about a singer but its weights; the default one is DiffSinger's for Opencpop, but for the samplings.

    Args:
        phones: names of what it can sing, the first one is number 1: number 0 is padding.
        encoder: sizes of what reads a song, predicts durations and F0, and makes the auxiliary mel.
        denoiser: sizes of the network of the walk.
        process: between mel and noise; one that knows a noisy sound has none here.
        prediction: what the denoiser predicts, a name of `PREDICTIONS`; not given: "flow" on a rectified flow, "noise" elsewhere.
        spectrogram: that the mels are.
        start: the time at which the walk begins (the depth K of K steps in T is K / T); 0: the auxiliary mel itself; 1: noise alone.
        latest: the latest time at which the denoiser is trained.
        auxiliary: whether the auxiliary decoder is trained; without it a walk starts at 1.
        clamp: hold each clean estimate in the range of normalised mels, -1 to 1, whatever the solver.
        sampling: recommended way of sampling; its grid begins at `start`.
        presets: other ways of sampling, by name.
    """

    phones: tuple[str, ...]
    encoder: FastSpeech2MidiConfig = field(default_factory=FastSpeech2MidiConfig)
    denoiser: WaveNetConfig = field(default_factory=WaveNetConfig)
    process: Process = field(default_factory=lambda: DDPM(steps=100, beta_max=0.06))
    prediction: str | None = None
    spectrogram: MelSpectrogram = field(default_factory=MelSpectrogram)
    start: Annotated[float, Range(0, 1)] = 0.6
    latest: Annotated[float, Range(1e-3, 1)] = 1.0
    auxiliary: bool = True
    clamp: bool = True
    sampling: Sampling = field(default_factory=lambda: Sampling("dpmpp-2m", steps=10))
    presets: dict[str, Sampling] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)
        if len(set(self.phones)) != len(self.phones):
            twice = next(phone for phone in self.phones if self.phones.count(phone) > 1)
            raise ConfigError(f"SingerConfig: the phone {twice!r} is listed twice")
        for what, found, expected, whose in (
            ("encoder's phones are", self.encoder.phones, len(self.phones) + 1, "the phones and padding"),
            ("encoder's bins are", self.encoder.bins, self.spectrogram.bins, "those of the spectrogram"),
            ("denoiser's bins are", self.denoiser.bins, self.spectrogram.bins, "those of the spectrogram"),
            ("denoiser's condition is", self.denoiser.condition, self.encoder.width, "the encoder's width"),
        ):
            if found != expected:
                raise ConfigError(f"SingerConfig: the {what} {found}, expected {expected}: {whose}")
        if any(self.process.at(time).kappa for time in (0.5, 1.0)):
            name = type(self.process).__name__
            raise ConfigError(f"SingerConfig: {name} goes to a noisy sound, and there is none: use DDPM, RectifiedFlow or the like")
        self.check_start(self.start)
        for name, sampling in {"sampling": self.sampling, **self.presets}.items():
            check_value(sampling, Sampling, f"SingerConfig: {name}")
            for call in self.plan(sampling, self.start).calls if self.start else ():
                self.predicted.at(call.time)

    @property
    def predicted(self) -> Prediction:
        """How the denoiser is read."""
        return Prediction(self.prediction or ("flow" if isinstance(self.process, RectifiedFlow) else "noise"), self.process)

    def check_start(self, start: float) -> None:
        """Whether a walk may begin at this time.

        Raises:
            ConfigError: if not, with the reason.
        """
        check_value(start, Annotated[float, Range(0, 1)], "singer: start")
        if start > self.latest:
            raise ConfigError(f"singer: start is {start:g}, expected {self.latest:g} or less: the denoiser is trained up to there")
        if start < 1 and not self.auxiliary:
            raise ConfigError(f"singer: start is {start:g}, expected 1: this model has no auxiliary decoder whose mel it could start from")

    def plan(self, sampling: Sampling, start: float) -> Plan:
        """The table of coefficients of a walk from `start`. (The grid's spacing "leading" calls later than that, as DiffSinger does.)"""
        return replace(sampling, grid_options={**sampling.grid_options, "first": start}).plan(self.process)

    def numbers(self, phones: Sequence[str]) -> list[int]:
        """Numbers of phones by their names.

        Raises:
            ConfigError: on a phone that this model cannot sing.
        """
        known = {phone: number for number, phone in enumerate(self.phones, 1)}
        for place, phone in enumerate(phones, 1):
            if phone not in known:
                raise ConfigError(f"singer: phone {place} is {phone!r}, which it cannot sing: {nearest(str(phone), known)}")
        return [known[phone] for phone in phones]


class Song(NamedTuple):
    """What is to be sung: (batch, phone) each, 0 after an item's last phone."""

    phones: Tensor
    """numbers, as `SingerConfig.numbers` has them."""
    notes: Tensor
    """MIDI numbers, 0 for a rest."""
    seconds: Tensor
    """how long each phone's note is."""
    slurs: Tensor
    """1 where a phone continues the syllable of the note before."""


class Heard(NamedTuple):
    """A song laid out in frames."""

    condition: Tensor
    """(batch, frame, width)."""
    mask: Tensor
    """(batch, frame), true where there are frames."""
    f0: Tensor | None
    """(batch, frame) in Hz, 0 without voice, given or predicted; None in a model that heeds none."""


class Performance(NamedTuple):
    """A song as it is sung."""

    mel: Tensor
    """(batch, bins, frame), logarithmic; 0 after an item's end."""
    f0: Tensor | None
    """as it was heard."""
    frames: Tensor
    """(batch), how many each item has."""


class Example(NamedTuple):
    """A batch to train on."""

    song: Song
    durations: Tensor
    """(batch, phone) in whole frames; the longest item's sum is the mel's frames."""
    mel: Tensor
    """(batch, bins, frame), logarithmic; what stands after an item's end does not matter."""
    f0: Tensor
    """(batch, frame) in Hz, 0 without voice."""
    words: Tensor
    """(batch, phone), which word a phone belongs to, counted from 1; 0 after an item's last phone."""


class Normalisation(nn.Module):
    """Log mels to -1 ... 1, each bin by its least and its greatest value in the training set, which are saved with the weights."""

    low: Tensor
    high: Tensor

    def __init__(self, bins: int, low: float, high: float):
        super().__init__()
        self.register_buffer("low", torch.full((bins,), low))
        self.register_buffer("high", torch.full((bins,), high))

    def set(self, low: Tensor, high: Tensor) -> None:
        """Take other limits, (bins) each.

        Raises:
            ConfigError: on another number of them, and unless each low one is below its high one.
        """
        for what, values in (("least", low), ("greatest", high)):
            if values.shape != self.low.shape or not values.isfinite().all():
                raise ConfigError(f"singer: {what} mels are {tuple(values.shape)}, expected ({len(self.low)},), all finite: one a bin")
        if not (low < high).all():
            raise ConfigError(f"singer: the least mel of bin {int((low >= high).nonzero()[0])} is not below its greatest one")
        self.low.copy_(low)
        self.high.copy_(high)

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, bins, frame) -> the same."""
        return 2 * (mel - self.low[:, None]) / (self.high - self.low)[:, None] - 1

    def inverse(self, normalised: Tensor) -> Tensor:
        """(batch, bins, frame) -> the same."""
        return (normalised + 1) / 2 * (self.high - self.low)[:, None] + self.low[:, None]


class Singer:
    """Sing a song: its log mel spectrogram and F0.

    Args:
        config: of the model.
        network: with weights, as `new_network` makes it; a new one if not given.
        name: how the model is called in messages.
    """

    def __init__(self, config: SingerConfig, network: nn.Module | None = None, name: str = "singer"):
        self.config, self.name = config, name
        self.prediction = config.predicted
        self.network = self.new_network(config) if network is None else network
        self.device, self.dtype = torch.device("cpu"), torch.float32

    @staticmethod
    def new_network(config: SingerConfig) -> nn.Module:
        """All that such a model learns, as one module, and the limits of its mels, at first from the spectrogram's floor to 1."""
        log = {"log10": math.log10, "ln": math.log}[config.spectrogram.base]
        normalisation = Normalisation(config.spectrogram.bins, log(config.spectrogram.floor), 0.0)
        parts = {"encoder": FastSpeech2Midi(config.encoder), "denoiser": WaveNet(config.denoiser), "normalisation": normalisation}
        return nn.ModuleDict(parts)

    @property
    def encoder(self) -> FastSpeech2Midi:
        """What reads a song, and makes the auxiliary mel."""
        return self._parts["encoder"]

    @property
    def denoiser(self) -> WaveNet:
        """The network of the walk."""
        return self._parts["denoiser"]

    @property
    def normalisation(self) -> Normalisation:
        """The limits of the mels."""
        return self._parts["normalisation"]

    def to(self, device: str | torch.device, dtype: torch.dtype = torch.float32) -> Self:
        """Move the networks; with another dtype than float32 the denoiser computes in that, states stay float32."""
        self.device, self.dtype = torch.device(device), dtype
        self.network.to(self.device)
        return self

    @torch.inference_mode()
    def durations(self, song: Song) -> Tensor:
        """How long the model would sing each phone: (batch, phone), frames, not yet whole numbers, 0 after an item's last phone.

        To round and fit them, so that notes keep their lengths, is the caller's matter.
        """
        song = self._checked(song)
        return predicted_frames(self.encoder.log_durations(self.encoder.encode(*song), song.phones > 0))

    def hear(self, song: Song, durations: Tensor, f0: Tensor | None = None) -> Heard:
        """A song laid out in frames: what the denoiser and the auxiliary decoder are told.

        Args:
            song: to be sung.
            durations: (batch, phone), in whole frames.
            f0: (batch, frame) in Hz, 0 without voice, left as it is; None: what the model predicts, if it heeds F0.

        Raises:
            ConfigError: on values out of range, and sizes that do not match.
        """
        song, durations = self._checked(song), durations.to(self.device)
        if durations.shape != song.phones.shape:
            raise ConfigError(f"singer: durations are {tuple(durations.shape)}, expected {tuple(song.phones.shape)}: one a phone")
        if (durations < 0).any() or durations[song.phones == 0].any():
            raise ConfigError("singer: a duration is negative, or stands where there is no phone: expected 0 or more frames, 0 for padding")
        alignment = regulate(durations, int(durations.sum(1).max()))
        if not alignment.numel():
            raise ConfigError("singer: all durations are 0: there is nothing to sing")
        mask = alignment > 0
        expanded = expand(self.encoder.encode(*song), alignment)
        if f0 is not None:
            f0 = f0.to(expanded)
            if not (f0.isfinite() & (f0 >= 0)).all():
                raise ConfigError("singer: F0 is negative or not finite somewhere: expected Hz, and 0 where there is no voice")
        elif self.config.encoder.pitch_layers:
            f0 = self.encoder.pitch(expanded, mask).f0(mask)
        return Heard(self.encoder.condition(expanded, mask, f0), mask, f0)

    def auxiliary(self, heard: Heard) -> Tensor:
        """The auxiliary decoder's log mel: (batch, bins, frame), 0 after an item's end."""
        return self.encoder.mel(heard.condition, heard.mask).mT

    def first_state(self, heard: Heard, start: float, noise: Noise) -> Tensor:
        """The state at `start`, (batch, 1, bins, frame): the auxiliary mel under noise, which is drawn once; at 1 noise alone."""
        node, drawn = self.config.process.at(start), matched_noise("singer", noise, START, self._like(heard))
        if start == 1:  # with the power of a state whose clean mel has power 1
            return math.hypot(node.alpha, node.sigma) * drawn
        return node.alpha * self.normalisation(self.auxiliary(heard))[:, None] + node.sigma * drawn

    def project(self, heard: Heard) -> Tensor:
        """What the denoiser hears in each call, computed once."""
        with self._autocast():
            return self.denoiser.project(heard.condition.mT)

    def denoise(self, state: Tensor, time: Times, projected: Tensor, mask: Tensor | None = None) -> Tensor:
        """The clean estimate, (batch, 1, bins, frame), of a state at `time`, or at one time an item: one call of the denoiser."""
        conversion = self.prediction.at(time)
        clean = conversion.clean(self._output(conversion, state, projected, mask), state)
        return clean.clamp(-1, 1) if self.config.clamp else clean

    def walk(self, heard: Heard, state: Tensor, plan: Plan, noise: Noise) -> Tensor:
        """From a state, (batch, 1, bins, frame), to the log mel: (batch, bins, frame), 0 after an item's end."""
        projected = self.project(heard)
        clean = sample(plan, lambda x, time: self.denoise(x, time, projected, heard.mask), state, None, noise)
        return torch.where(heard.mask[:, None], self.normalisation.inverse(clean[:, 0]), 0)

    @torch.inference_mode()
    def sing(
        self,
        song: Song,
        durations: Tensor,
        f0: Tensor | None = None,
        *,
        start: float | None = None,
        solver: str | None = None,
        steps: int | None = None,
        preset: str | Sampling | None = None,
        seed: int = 0,
        first_frame: int | Tensor = 0,
        noise: Noise | None = None,
    ) -> Performance:
        """Sing a batch of songs, or segments of one; none depends on the others.

        Args:
            song, durations, f0: as `hear` takes them.
            start: instead of the model's: 0 the auxiliary mel, 1 from noise alone.
            solver, steps: instead of the recommended ones.
            preset: a way of sampling instead of the recommended one: by its name in the model, or a `Sampling`.
            seed: of the noise: same seed, same sound.
            first_frame: where in the whole each item begins, one for all, or (batch): its noise is keyed by that.
            noise: instead of the seed's: (step, purpose, repeat) -> real (batch, 1, bins, frame); the first state's is (0, "start", 0).

        Raises:
            ConfigError: on an option out of its range, and as `hear`.
        """
        config = self.config
        start = config.start if start is None else start
        config.check_start(start)
        plan = config.plan(self.sampling(solver, steps, preset), start) if start else None
        heard = self.hear(song, durations, f0)
        if plan is None:
            mel = self.auxiliary(heard)
        else:
            source = keyed_noise(seed, self._like(heard), first_frame) if noise is None else noise
            mel = self.walk(heard, self.first_state(heard, start, source), plan, source)
        return Performance(mel, heard.f0, heard.mask.sum(1))

    def sampling(self, solver: str | None = None, steps: int | None = None, preset: str | Sampling | None = None) -> Sampling:
        """The recommended sampling, or a preset; with another solver (and its own default options) or number of steps.

        Raises:
            ConfigError: on an unknown preset.
        """
        return choose(self.name, self.config.sampling, self.config.presets, solver, steps, preset)

    def loss(
        self,
        example: Example,
        stage: Stage,
        generator: torch.Generator | None = None,
        *,
        ssim: float = 0.5,
        norm: Literal["l1", "l2"] = "l1",
        times: Sequence[float] | None = None,
        noise: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Training losses of a batch, scalars by name, whose sum is to be made small: means over what there is, never over padding.

        Args:
            example: the batch, on the model's device.
            stage: "auxiliary" trains encoder, predictors and auxiliary decoder; "diffusion" the denoiser (who trains it freezes the
                encoder); "together" all but the auxiliary decoder.
            generator: of times and noise that are not given.
            ssim: weight of 1 - SSIM in the auxiliary mel's loss; the rest is that of the L1 error.
            norm: of the error of what the denoiser predicts, "l1" or "l2".
            times: of the states, one an item; not given: uniform up to `latest`, on the levels of a chain.
            noise: in the states, (batch, 1, bins, frame).

        Returns:
            Of "duration", "word", "sentence" (squared errors of log(1 + frames)), "f0" (octaves, where there is voice), "voicing" (cross
            entropy), "mel" and "diffusion" those of the stage.

        Raises:
            ConfigError: on sizes that do not match.
        """
        check_value(stage, Stage, "singer: stage")
        check_value(norm, Literal["l1", "l2"], "singer: norm")
        check_value(ssim, Annotated[float, Range(0, 1)], "singer: ssim")
        self._check(example)
        song, encoder = example.song, self.encoder
        alignment = regulate(example.durations, example.mel.shape[-1])
        mask, there = alignment > 0, song.phones > 0
        hidden = encoder.encode(*song)
        expanded = expand(hidden, alignment)
        pitched = bool(self.config.encoder.pitch_layers)
        heard = Heard(encoder.condition(expanded, mask, example.f0 if pitched else None), mask, example.f0)
        losses = dict[str, Tensor]()
        if stage != "diffusion":
            losses |= duration_losses(encoder.log_durations(hidden, there), example.durations, example.words, there)
        if stage != "diffusion" and pitched:
            losses |= pitch_losses(encoder.pitch(expanded, mask), example.f0, mask)
        if stage == "auxiliary":
            losses["mel"] = self._auxiliary_loss(self.auxiliary(heard), example.mel, mask, ssim)
        else:
            losses["diffusion"] = self._diffusion_loss(heard, example.mel, norm, times, generator, noise)
        return losses

    def _auxiliary_loss(self, mel: Tensor, target: Tensor, mask: Tensor, ssim: float) -> Tensor:
        error = masked_mean((mel - target).abs(), mask[:, None])
        if not ssim:
            return error
        first, second = ((self.normalisation(each) + 1) / 2 for each in (mel, target))
        return (1 - ssim) * error + ssim * (1 - structural_similarity(first, second, mask))

    def _diffusion_loss(
        self, heard: Heard, mel: Tensor, norm: str, times: Sequence[float] | None, generator: torch.Generator | None, noise: Tensor | None
    ) -> Tensor:
        clean = torch.where(heard.mask[:, None], self.normalisation(mel), 0)[:, None]
        times = self.random_times(len(clean), generator) if times is None else times
        noise = random_noise(clean, generator) if noise is None else noise
        nodes = [self.config.process.at(time) for time in times]
        alpha, sigma = torch.tensor([(node.alpha, node.sigma) for node in nodes], dtype=torch.float64).to(clean).T[..., None, None, None]
        state = alpha * clean + sigma * noise
        conversion = self.prediction.at(times)
        output = self._output(conversion, state, self.project(heard), heard.mask)
        error = output.to(state.dtype) - conversion.target(clean, state)
        return masked_mean(error.abs() if norm == "l1" else error.square(), heard.mask[:, None, None])

    def random_times(self, count: int, generator: torch.Generator | None = None) -> list[float]:
        """Times to train the denoiser at: uniform, above 0, up to `latest`; on a chain its levels, which alone its networks know."""
        draws = (1 - torch.rand(count, dtype=torch.float64, generator=generator, device=generator.device if generator else None)).tolist()
        process, latest = self.config.process, self.config.latest
        if isinstance(process, Chain):
            levels = max(round(latest * process.steps), 1)
            return [math.ceil(draw * levels) / process.steps for draw in draws]
        return [draw * latest for draw in draws]

    def _checked(self, song: Song) -> Song:
        """The song on the model's device, if all its values can be sung."""
        song = Song(*(each.to(self.device) for each in song))
        if song.phones.ndim != 2 or not song.phones.numel():
            raise ConfigError(f"singer: phones are {tuple(song.phones.shape)}, expected (batch, phone), and not none")
        for what, values, largest in (
            ("phone", song.phones, len(self.config.phones)),
            ("note", song.notes, LARGEST_NOTE),
            ("slur", song.slurs, 1),
        ):
            if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
                raise ConfigError(f"singer: {what}s are {values.dtype}, expected integers")
            if (odd := values[(values < 0) | (values > largest)]).numel():
                raise ConfigError(f"singer: a {what} is {int(odd[0])}, expected 0 to {largest}")
        if not (song.seconds.isfinite() & (song.seconds >= 0)).all():
            raise ConfigError("singer: a note's seconds are negative or not finite")
        return song._replace(seconds=song.seconds.to(self.encoder.seconds.weight.dtype))

    def _check(self, example: Example) -> None:
        """Refuse a batch whose sizes do not match."""
        phones, mel = tuple(example.song.phones.shape), tuple(example.mel.shape)
        frames = int(example.durations.sum(1).max())
        for what, found, expected in (
            ("durations are", example.durations.shape, phones),
            ("words are", example.words.shape, phones),
            ("the mel is", mel, (phones[0], self.config.spectrogram.bins, frames)),
            ("F0 is", example.f0.shape, (phones[0], frames)),
        ):
            if tuple(found) != expected:
                sizes = f"for phones {phones} whose durations sum to {frames} frames or less"
                raise ConfigError(f"singer: {what} {tuple(found)}, expected {expected} {sizes}")
        if ((example.words < 0) | (example.words > phones[1])).any():
            raise ConfigError(f"singer: a word's number is not one of 0 to {phones[1]}, for so many phones an item")

    def _output(self, conversion: Conversion, state: Tensor, projected: Tensor, mask: Tensor | None) -> Tensor:
        """What the denoiser says of a state."""
        seen, told = conversion.given(state)
        with self._autocast():
            return self.denoiser(seen, told if isinstance(self.config.process, Chain) else TIME * told, projected, mask)

    def _like(self, heard: Heard) -> Tensor:
        """A tensor like a state of this song, (batch, 1, bins, frame), with nothing in it."""
        batch, frames = heard.mask.shape
        return heard.condition.new_empty(batch, 1, self.config.spectrogram.bins, frames)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    @property
    def _parts(self) -> Any:
        return self.network


class Voice:
    """A singer and its vocoder: songs to waveforms.

    Args:
        singer: makes mels and F0.
        vocoder: makes sound of them; `fold` it for speed.
        spectrogram: what the vocoder was trained to hear.

    Raises:
        ConfigError: unless the vocoder hears what the singer makes.
    """

    def __init__(self, singer: Singer, vocoder: NSFHiFiGAN, spectrogram: MelSpectrogram):
        made = singer.config.spectrogram
        sizes = {name: getattr(vocoder.config, name) for name in ("sample_rate", "hop", "bins")}
        heard = {each.name: getattr(spectrogram, each.name) for each in fields(spectrogram)}
        for name, value in (*sizes.items(), *heard.items()):
            if value != getattr(made, name):
                raise ConfigError(f"voice: the vocoder's mels have {name} {value}, the singer's {getattr(made, name)}: use its own vocoder")
        self.singer, self.vocoder = singer, vocoder

    @torch.inference_mode()
    def sound(self, performance: Performance, seed: int = 0, first_frame: int | Tensor = 0) -> Tensor:
        """The waveform of a performance: (batch, sample), 0 after an item's end.

        Args:
            performance: of the singer; or F0 from elsewhere beside its mel.
            seed: of the vocoder's noise: an item's is that of the seed and of where it begins, whatever the batch.
            first_frame: where in the whole each item begins, one for all, or (batch).

        Raises:
            ConfigError: without F0.
        """
        mel, f0, frames = performance
        if f0 is None:
            raise ConfigError("voice: the vocoder needs F0, and this singer neither takes nor predicts any: put it into the performance")
        return self.vocoder(mel, f0, vocoder_draws(self.vocoder.config, mel, seed, first_frame), frames)[:, 0]

    def sing(self, song: Song, durations: Tensor, f0: Tensor | None = None, **options: Any) -> Tensor:
        """`sound` of what the singer sings; options are those of `Singer.sing`."""
        given = {name: options[name] for name in ("seed", "first_frame") if name in options}
        return self.sound(self.singer.sing(song, durations, f0, **options), **given)


def vocoder_draws(config: NSFHiFiGANConfig, mel: Tensor, seed: int, first_frame: int | Tensor) -> Draws:
    """Keyed random numbers for mels (batch, bins, frame): noise by the absolute frame, phases by the first one."""
    firsts = torch.as_tensor(first_frame, device=mel.device).expand(len(mel))
    overtones = mel.new_empty(len(mel), 1, config.harmonics - 1, 1)
    samples = mel.new_empty(len(mel), 1, config.harmonics * config.hop, mel.shape[-1])
    phases = torch.special.ndtr(keyed_noise(seed, overtones, firsts)(0, "vocoder", 0))[:, 0, :, 0]
    noise = keyed_noise(seed, samples, firsts)(1, "vocoder", 0)[:, 0].unflatten(1, (config.harmonics, config.hop))
    return Draws(phases, noise.mT.flatten(2))
