"""FastSpeech 2 that sings notes: from phones with their notes to what a denoiser is told, with durations, pitch and a first mel.

FastSpeech 2 (Ren et al. 2021, 2006.04558) as DiffSinger has it for MIDI (Liu et al. 2022, 2105.02446; the form with notes is public code's,
MoonInTheRiver/DiffSinger, modules/diffsinger_midi). Two stacks of transformer blocks with convolutions, over phones and over frames:

    phone, note, note's seconds, slur -> encoder -> hidden -+-> log durations
                                                            '- regulate -> frames -+-> log2 F0, voicing
                                                                                   '- + pitch -> condition -> decoder -> mel (log10)

Durations and pitch may be given: each part can be called for itself, and none runs that nobody asked for. What is padding is said by a
mask, never by a value, and no item's numbers depend on its padding or on its neighbours in a batch.
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgaudio.errors import ConfigError
from sgaudio.nets.wavenet import sinusoid
from sgaudio.registry import Range, check

POSITIONS = 5000  # the encoder counts its positions down from the last of so many
ROWS = 300  # of the published tables of notes (128 are used) and of pitches (256)


@dataclass(frozen=True)
class FastSpeech2MidiConfig:
    """Sizes of a `FastSpeech2Midi`; the default ones are DiffSinger's for Opencpop, its cascade (its end-to-end form has no pitch layers).

    Args:
        phones: size of the vocabulary; number 0 is padding.
        width: channels of everything hidden, a multiple of twice the heads.
        heads: of attention.
        encoder_layers: transformer blocks over phones.
        decoder_layers: transformer blocks over frames.
        kernel: taps of their convolutions, odd.
        duration_layers: convolutions of the duration predictor.
        pitch_layers: convolutions of the pitch predictor; 0: pitch is neither predicted nor heeded.
        bins: of a mel spectrogram.
        dropout: of the transformer blocks.
        predictor_dropout: of the predictors.
        predictor_gradient: share of the predictors' gradients that reaches the encoder.
    """

    phones: Annotated[int, Range(2, 65536)] = 63
    width: Annotated[int, Range(4, 4096)] = 256
    heads: Annotated[int, Range(1, 64)] = 2
    encoder_layers: Annotated[int, Range(1, 64)] = 4
    decoder_layers: Annotated[int, Range(1, 64)] = 4
    kernel: Annotated[int, Range(1, 63)] = 9
    duration_layers: Annotated[int, Range(1, 64)] = 5
    pitch_layers: Annotated[int, Range(0, 64)] = 5
    bins: Annotated[int, Range(1, 4096)] = 80
    dropout: Annotated[float, Range(0, 0.9)] = 0.1
    predictor_dropout: Annotated[float, Range(0, 0.9)] = 0.5
    predictor_gradient: Annotated[float, Range(0, 1)] = 0.1

    def __post_init__(self) -> None:
        check(self)
        if self.width % (2 * self.heads):
            raise ConfigError(f"FastSpeech2MidiConfig: width {self.width} over {self.heads} heads is not an even number")
        if self.kernel % 2 == 0:
            raise ConfigError(f"FastSpeech2MidiConfig: kernel is {self.kernel}, expected an odd number")


class Pitch(NamedTuple):
    """What is said of each frame's pitch: (batch, frame) each."""

    log2_f0: Tensor
    """of F0 in Hz, meaningful in unvoiced frames as well."""
    unvoiced: Tensor
    """logit: greater than 0 where there is no voice."""

    def f0(self, mask: Tensor) -> Tensor:
        """In Hz, 0 where there is no voice and where there is no frame."""
        return torch.where(mask & (self.unvoiced <= 0), self.log2_f0.exp2(), 0)


class Sung(NamedTuple):
    """All that training compares, and the condition."""

    log_durations: Tensor
    """(batch, phone): of 1 + frames."""
    pitch: Pitch | None
    condition: Tensor
    """(batch, frame, width)."""


class FastSpeech2Midi(nn.Module):
    """From phones and notes to a condition, part by part; `forward` calls all but the auxiliary decoder, whose part is `mel`."""

    def __init__(self, config: FastSpeech2MidiConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.phone = embedding(config.phones, width)
        self.note = embedding(ROWS, width)
        self.seconds = initialised(nn.Linear(1, width))
        self.slur = embedding(2, width, padding=None)
        self.encoder = Transformer(config, config.encoder_layers, CountedDown())
        self.duration_predictor = Predictor(config, config.duration_layers, 3, nn.Identity(), 1)
        self.pitch_predictor = Predictor(config, config.pitch_layers, 5, CountedUp(), 2) if config.pitch_layers else None
        self.pitch_bin = embedding(ROWS, width) if config.pitch_layers else None
        self.decoder = Transformer(config, config.decoder_layers, CountedUp())
        self.output = initialised(nn.Linear(width, config.bins))

    def forward(self, phones: Tensor, notes: Tensor, seconds: Tensor, slurs: Tensor, alignment: Tensor, f0: Tensor | None = None) -> Sung:
        """All that is predicted, with durations that are known: for training, or for a song whose durations are given.

        Args:
            phones, notes, seconds, slurs: as `encode` takes them.
            alignment: (batch, frame), which phone a frame belongs to, as `regulate` counts them.
            f0: (batch, frame) in Hz, 0 where there is no voice; None: what is predicted is used.

        Raises:
            ConfigError: on inputs whose shapes do not agree.
        """
        hidden, frames = self.encode(phones, notes, seconds, slurs), alignment > 0
        expanded = expand(hidden, alignment)
        pitch = self.pitch(expanded, frames) if self.config.pitch_layers else None
        if f0 is None and pitch is not None:
            f0 = pitch.f0(frames)
        return Sung(self.log_durations(hidden, phones > 0), pitch, self.condition(expanded, frames, f0))

    def encode(self, phones: Tensor, notes: Tensor, seconds: Tensor, slurs: Tensor) -> Tensor:
        """What is to be sung, heard in its context.

        Args:
            phones: (batch, phone) numbers of the vocabulary, 0 after an item's last phone.
            notes: (batch, phone) MIDI numbers, 0 for a rest.
            seconds: (batch, phone), how long each phone's note is.
            slurs: (batch, phone), 1 where a phone continues the syllable of the note before, else 0.

        Returns:
            (batch, phone, width), 0 where there is no phone.

        Raises:
            ConfigError: where the four are not of one shape.
        """
        if phones.ndim != 2:
            raise ConfigError(f"phones are expected as (batch, phone), got {tuple(phones.shape)}")
        for what, found in (("notes", notes), ("seconds", seconds), ("slurs", slurs)):
            if found.shape != phones.shape:
                raise ConfigError(f"{what} are expected as {tuple(phones.shape)}, one a phone, got {tuple(found.shape)}")
        scale = self.config.width**0.5
        x = scale * self.phone(phones) + self.note(notes) + self.seconds(seconds[..., None]) + self.slur(slurs)
        return self.encoder(scale * x, phones > 0)  # once more, notes and all: so the public models were trained

    def log_durations(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """log(1 + frames) of each phone: hidden states of phones, (batch, phone, width), and where there are phones -> (batch, phone)."""
        expect_frames("hidden states", hidden, mask, self.config.width)
        return self.duration_predictor(self.held_back(hidden), mask)[..., 0]

    def pitch(self, expanded: Tensor, mask: Tensor) -> Pitch:
        """Pitch of each frame: hidden states of frames, (batch, frame, width), and where there are frames -> (batch, frame) each.

        Raises:
            ConfigError: if the network was made without pitch layers.
        """
        if self.pitch_predictor is None:
            raise ConfigError("this FastSpeech2Midi has no pitch predictor: its pitch_layers is 0")
        expect_frames("expanded states", expanded, mask, self.config.width)
        log2_f0, unvoiced = self.pitch_predictor(self.held_back(expanded), mask).unbind(-1)
        return Pitch(log2_f0, unvoiced)

    def condition(self, expanded: Tensor, mask: Tensor, f0: Tensor | None = None) -> Tensor:
        """What a denoiser and the auxiliary decoder are told.

        Args:
            expanded: hidden states of frames, (batch, frame, width).
            mask: (batch, frame), true where there are frames.
            f0: (batch, frame) in Hz, 0 where there is no voice; None for a network without pitch layers.

        Returns:
            (batch, frame, width), 0 where there is no frame.

        Raises:
            ConfigError: if F0 is missing, or given to a network that does not heed it, or of another shape.
        """
        expect_frames("expanded states", expanded, mask, self.config.width)
        if (f0 is None) != (self.pitch_bin is None):
            needs = "heeds no F0 (its pitch_layers is 0): give none" if self.pitch_bin is None else "needs F0: give it, or what it predicts"
            raise ConfigError(f"this FastSpeech2Midi {needs}")
        if f0 is not None and self.pitch_bin is not None:
            if f0.shape != mask.shape:
                raise ConfigError(f"F0 is expected as {tuple(mask.shape)}, one value a frame, got {tuple(f0.shape)}")
            expanded = expanded + self.pitch_bin(pitch_bins(f0))
        return masked(expanded, mask)

    def mel(self, condition: Tensor, mask: Tensor) -> Tensor:
        """The auxiliary decoder: a condition, (batch, frame, width), and where there are frames -> log10 mel (batch, frame, bins)."""
        expect_frames("condition", condition, mask, self.config.width)
        return masked(self.output(self.decoder(condition, mask)), mask)

    def held_back(self, x: Tensor) -> Tensor:
        """The same, with a share of its gradient."""
        return torch.lerp(x.detach(), x, self.config.predictor_gradient)


def regulate(durations: Tensor, frames: int) -> Tensor:
    """Which phone each frame belongs to (the length regulator's index).

    Args:
        durations: (batch, phone), in frames, whole numbers, 0 after an item's last phone.
        frames: how many the longest item has.

    Returns:
        (batch, frame), numbers of phones counted from 1; 0 after an item's last frame.

    Raises:
        ConfigError: on durations that are not whole numbers.
    """
    if durations.ndim != 2 or durations.is_floating_point():
        found = f"{tuple(durations.shape)} of {durations.dtype}"
        raise ConfigError(f"durations are expected as (batch, phone), in whole frames, got {found}: round them so that their sums hold")
    ends = durations.long().cumsum(1)
    time = torch.arange(frames, device=durations.device).expand(len(ends), frames).contiguous()
    return torch.where(time < ends[:, -1:], torch.searchsorted(ends, time, right=True) + 1, 0)


def expand(hidden: Tensor, alignment: Tensor) -> Tensor:
    """Each frame's hidden state, that of its phone: (batch, phone, width), (batch, frame) as of `regulate` -> (batch, frame, width)."""
    if alignment.ndim != 2 or len(alignment) != len(hidden):
        raise ConfigError(f"an alignment is expected as ({len(hidden)}, frame), got {tuple(alignment.shape)}")
    index = (alignment - 1).clamp(min=0)[..., None].expand(-1, -1, hidden.shape[-1])
    return masked(hidden.gather(1, index), alignment > 0)


def predicted_frames(log_durations: Tensor) -> Tensor:
    """Durations in frames, 0 or more, not yet whole numbers: how they are rounded, so that sums hold, is the caller's matter."""
    return log_durations.expm1().clamp(min=0)


def pitch_bins(f0: Tensor) -> Tensor:
    """The row of F0's table, 1 to 255: equal steps of the mel scale from 50 to 1100 Hz, held outside; without voice (0 Hz) it is 1."""
    low, high = (1127 * math.log1p(f / 700) for f in (50, 1100))
    mel = 1127 * torch.log1p(f0 / 700)
    return ((mel - low) * (254 / (high - low)) + 1.5).clamp(1.5, 255.5).long()


class CountedDown(nn.Module):
    """Adds the position of each phone, the first at 4999, each next one less, as sines and cosines by turns: (batch, phone, width) -> same.

    ESPnet's table for relative positions, read as absolute ones. The public code makes its table of 5000 anew for an input that is longer,
    which moves all others; here a row depends on its number alone, and goes on below 0. In float32, as the public models were trained.
    """

    def forward(self, x: Tensor) -> Tensor:
        _, length, width = x.shape
        rates = torch.exp(torch.arange(0, width, 2, device=x.device, dtype=torch.float32) * -(math.log(10000) / width))
        angle = (POSITIONS - 1 - torch.arange(length, device=x.device, dtype=torch.float32))[:, None] * rates
        return x + torch.stack([angle.sin(), angle.cos()], -1).flatten(1).to(x.dtype)


class CountedUp(nn.Module):
    """Adds a learned multiple of the position of each frame, from 1: (batch, frame, width) -> the same. In float32, as CountedDown."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        position = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=torch.float32)
        return x + self.scale * sinusoid(position, x.shape[2]).to(x.dtype)


class Transformer(nn.Module):
    """Positions, blocks, a norm: (batch, position, width), where there is something -> the same, 0 elsewhere."""

    def __init__(self, config: FastSpeech2MidiConfig, layers: int, positions: nn.Module):
        super().__init__()
        self.positions = positions
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.dropout(self.positions(x))
        for block in self.blocks:
            x = block(x, mask)
        return masked(self.norm(x), mask)


class Block(nn.Module):
    """FastSpeech's transformer block (Ren et al. 2019, 1905.09263), norms first: self-attention, then a convolution and a linear layer."""

    def __init__(self, config: FastSpeech2MidiConfig):
        super().__init__()
        width = config.width
        self.heads, self.scale = config.heads, config.kernel**-0.5
        self.norm1 = nn.LayerNorm(width)
        self.qkv = initialised(nn.Linear(width, 3 * width, bias=False))
        self.out = initialised(nn.Linear(width, width, bias=False))
        self.norm2 = nn.LayerNorm(width)
        self.inner = nn.Conv1d(width, 4 * width, config.kernel, padding=config.kernel // 2)
        self.outer = initialised(nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = masked(x + self.dropout(self.attention(self.norm1(x), mask)), mask)
        inner = self.inner(masked(self.norm2(x), mask).mT).mT * self.scale
        return masked(x + self.dropout(self.outer(self.dropout(F.gelu(inner)))), mask)

    def attention(self, x: Tensor, mask: Tensor) -> Tensor:
        seen = mask | ~mask.any(1, keepdim=True)  # an item of padding alone sees itself: else it would divide 0 by 0
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(query, key, value, seen[:, None, None])
        return self.out(x.transpose(1, 2).flatten(2))


class Predictor(nn.Module):
    """Positions, convolutions with norms, a linear layer: (batch, position, width), where there is something -> outputs, 0 elsewhere."""

    def __init__(self, config: FastSpeech2MidiConfig, layers: int, kernel: int, positions: nn.Module, outputs: int):
        super().__init__()
        width = config.width
        self.positions = positions
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, kernel, padding=kernel // 2) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-12) for _ in range(layers))
        self.dropout = nn.Dropout(config.predictor_dropout)
        self.output = nn.Linear(width, outputs)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = masked(self.positions(x), mask)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = masked(self.dropout(norm(F.relu(convolution(x.mT).mT))), mask)
        return masked(self.output(x), mask)


def masked(x: Tensor, mask: Tensor) -> Tensor:
    """(batch, position, channel), 0 where the mask, (batch, position), is false."""
    return torch.where(mask[..., None], x, 0)


def expect_frames(what: str, x: Tensor, mask: Tensor, width: int) -> None:
    """Refuse what is not (batch, position, width), or a mask that does not fit it."""
    if x.ndim != 3 or x.shape[2] != width:
        raise ConfigError(f"{what} must be (batch, position, {width}), got {tuple(x.shape)}")
    if mask.shape != x.shape[:2] or mask.dtype != torch.bool:
        raise ConfigError(f"a mask is expected as {tuple(x.shape[:2])}, true or false, got {tuple(mask.shape)} of {mask.dtype}")


def embedding(rows: int, width: int, padding: int | None = 0) -> nn.Embedding:
    """A table whose padding row is 0 and stays so; started as the public code does."""
    table = nn.Embedding(rows, width, padding)
    nn.init.normal_(table.weight, std=width**-0.5)
    if padding is not None:
        with torch.no_grad():
            table.weight[padding].zero_()
    return table


def initialised(layer: nn.Linear) -> nn.Linear:
    """The layer, started as the public code does."""
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


PUBLISHED_PARTS = {  # applied in this order
    r"^phone\.": "encoder_embed_tokens.",
    r"^note\.": "midi_embed.",
    r"^seconds\.": "midi_dur_layer.",
    r"^slur\.": "is_slur_embed.",
    r"^pitch_bin\.": "pitch_embed.",
    r"^output\.": "mel_out.",
    r"^duration_": "dur_",
    r"predictor\.convolutions\.(\d+)": r"predictor.conv.\1.1",
    r"predictor\.norms\.(\d+)": r"predictor.conv.\1.3",
    r"predictor\.output": "predictor.linear",
    r"positions\.scale": "pos_embed_alpha",
    r"coder\.norm\.": "coder.layer_norm.",
    r"blocks\.(\d+)\.": r"layers.\1.op.",
    r"op\.norm": "op.layer_norm",
    r"op\.qkv\.": "op.self_attn.in_proj_",
    r"op\.out\.": "op.self_attn.out_proj.",
    r"op\.inner": "op.ffn.ffn_1",
    r"op\.outer": "op.ffn.ffn_2",
}


def published_keys(config: FastSpeech2MidiConfig) -> dict[str, str | None]:
    """Keys of the public network (MoonInTheRiver/DiffSinger, `fs2`) and of the same tensors here.

    Shapes are equal. The table of phones has two keys there, of one tensor. None stands for what public files hold but never use.
    """
    with torch.device("meta"):
        ours = FastSpeech2Midi(config).state_dict()
    keys: dict[str, str | None] = {}
    for key in ours:
        public = key
        for pattern, replacement in PUBLISHED_PARTS.items():
            public = re.sub(pattern, replacement, public)
        keys[public] = key
        if public.endswith("pos_embed_alpha"):
            keys[public.replace("pos_embed_alpha", "embed_positions._float_tensor")] = None
    return keys | {"encoder.embed_tokens.weight": "phone.weight"}
