import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from sgaudio.audio.mel import MelSpectrogram
from sgaudio.errors import ConfigError
from sgaudio.models.enhancer import START
from sgaudio.models.sampling import Sampling
from sgaudio.models.singer import Example, Singer, SingerConfig, Song, Voice, vocoder_draws
from sgaudio.models.singing_losses import duration_losses, pitch_losses, structural_similarity
from sgaudio.nets import fastspeech2_midi, wavenet
from sgaudio.nets.fastspeech2_midi import FastSpeech2MidiConfig, Pitch
from sgaudio.nets.nsf_hifigan import NSFHiFiGAN, NSFHiFiGANConfig
from sgaudio.nets.wavenet import WaveNetConfig
from sgaudio.processes import DDPM, BridgeVE, Node, Prediction, RectifiedFlow
from sgaudio.processes.prediction import Reading
from sgaudio.solvers import record, replayed_noise

GOLDEN = Path(__file__).parents[1] / "golden" / "diffsinger"
MEL = MelSpectrogram(16_000, 64, 16, bins=6, fmax=8000)
TINY = SingerConfig(
    phones=tuple("abcdefgh"),
    encoder=FastSpeech2MidiConfig(9, 8, encoder_layers=2, decoder_layers=2, kernel=5, duration_layers=2, pitch_layers=2, bins=6),
    denoiser=WaveNetConfig(6, 8, channels=8, layers=4, cycle=2),
    spectrogram=MEL,
    sampling=Sampling("dpmpp-2m", 5),
)
FLOW = replace(TINY, process=RectifiedFlow())
BLIND = replace(TINY, encoder=replace(TINY.encoder, pitch_layers=0))
PHONES, DURATIONS, FRAMES = [6, 4, 1], torch.tensor([[2, 3, 0, 1, 4, 2], [3, 0, 2, 1, 0, 0], [4, 0, 0, 0, 0, 0]]), [12, 6, 4]


def golden_weight(key: str, shape: torch.Size) -> torch.Tensor:
    """The rule of the golden numbers."""
    values = np.random.Generator(np.random.Philox(key=zlib.crc32(key.encode()))).standard_normal(shape)
    if "bias" in key.rpartition(".")[2]:
        return torch.from_numpy(0.1 * values)
    return torch.from_numpy(1 + 0.1 * values if len(shape) < 2 else values / np.prod(shape[1:]) ** 0.5)


def draw(name: str, *shape: int) -> torch.Tensor:
    """The rule of the golden draws."""
    return torch.from_numpy(np.random.Generator(np.random.Philox(key=zlib.crc32(name.encode()))).standard_normal(shape))


def golden_singer(config: SingerConfig) -> Singer:
    """One in float64 in which, other than in a new one, nothing is zero."""
    with torch.device("meta"):
        network = Singer.new_network(config)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    bins = config.spectrogram.bins
    weights = {f"normalisation.{name}": torch.full((bins,), value).double() for name, value in (("low", -6.0), ("high", 0.5))}
    for part, public, keys in (
        ("encoder", "fs2", fastspeech2_midi.published_keys(config.encoder)),
        ("denoiser", "denoise_fn", wavenet.published_keys(config.denoiser)),
    ):
        ours = {mine: f"{public}.{key}" for key, mine in reversed(keys.items()) if mine}  # of two keys, the first
        weights |= {f"{part}.{mine}": golden_weight(key, shapes[f"{part}.{mine}"]) for mine, key in ours.items()}
    network.load_state_dict(weights, assign=True)
    return Singer(config, network.eval().requires_grad_(False))


class Rounded(DDPM):
    """With the buffers of the public code, which are rounded to float32; alpha bar itself is what its PNDM reads."""

    def alpha_bar(self, time: float) -> float:
        return DDPM.at(self, time).alpha ** 2

    def at(self, time: float) -> Node:
        alpha_bar = float(np.float32(self.alpha_bar(time)))
        return Node(time, math.sqrt(alpha_bar), 0.0, math.sqrt(1 - alpha_bar))


class RoundedRoots(Rounded):
    """The same, as its forward diffusion and its DDPM read it: each root is rounded by itself."""

    def at(self, time: float) -> Node:
        alpha_bar = self.alpha_bar(time)
        return Node(time, float(np.float32(math.sqrt(alpha_bar))), 0.0, float(np.float32(math.sqrt(1 - alpha_bar))))

    def noise(self, t) -> Reading:
        alpha_bar = self.alpha_bar(t.time)
        return Reading(float(np.float32(alpha_bar**-0.5)), 0, -float(np.float32((1 / alpha_bar - 1) ** 0.5)))

    def ancestral(self, walk):
        """Ho, Jain, Abbeel 2020, 2006.11239, eq. 7, with rounded factors."""
        z = walk.z
        for t, u in walk.steps:
            before, after = self.alpha_bar(t.time), self.alpha_bar(u.time)
            beta = 1 - before / after
            factors = beta * after**0.5 / (1 - before), (1 - after) * (1 - beta) ** 0.5 / (1 - before)
            variance = math.log(max(beta * (1 - after) / (1 - before), 1e-20))
            mean, kept, log_variance = (float(np.float32(each)) for each in (*factors, variance))
            z = mean * walk.denoise(z, t) + kept * z
            if u.sigma:
                z = z + math.exp(0.5 * log_variance) * walk.noise()
        return z


class Published(NamedTuple):
    """A model of published size with the limits of Opencpop, what the public code sang, its song and durations."""

    config: SingerConfig
    network: torch.nn.Module
    golden: dict[str, torch.Tensor]
    song: Song
    durations: torch.Tensor

    def singer(self, process: DDPM, **options) -> Singer:
        return Singer(replace(self.config, process=process, **options), self.network)


def published(name: str, pitch_layers: int) -> Published:
    golden = {key: torch.from_numpy(value) for key, value in np.load(GOLDEN / f"{name}.npz").items()}
    config = SingerConfig(tuple(map(str, range(62))), FastSpeech2MidiConfig(pitch_layers=pitch_layers))
    singer = golden_singer(config)
    singer.normalisation.set(torch.full((80,), -6.0), torch.from_numpy(np.loadtxt(GOLDEN / "opencpop_spec_max.txt", np.float32)))
    song = Song(*(golden[key][None] for key in ("txt_tokens", "pitch_midi", "midi_dur", "is_slur")))
    return Published(config, singer.network, golden, song, torch.bincount(golden["mel2ph"], minlength=11)[None, 1:])


@pytest.fixture(scope="module")
def cascade() -> Published:
    return published("mitr_cascade", pitch_layers=5)


def relative(found: torch.Tensor, golden: torch.Tensor) -> float:
    assert found.shape == golden.shape
    return float((found - golden).abs().max() / golden.abs().max())


SHALLOW = {"sampling": Sampling("ddpm", 60, "integer"), "start": 0.6, "latest": 0.6}


def test_it_walks_as_the_public_cascade_walked(cascade: Published):
    """60 steps of 100 from the auxiliary mel."""
    process = RoundedRoots(steps=100, beta_max=0.06)
    singer, golden = cascade.singer(process, **SHALLOW), cascade.golden
    singer.prediction = Prediction(process.noise, process)
    draws = [draw(f"cascade:randn:{i}", 1, 1, 80, 23) for i in range(61)]  # the last one stays unused
    plan = record(
        lambda walk: process.ancestral(walk), process, Sampling("ddpm", 60, "integer", grid_options={"first": 0.6}).times(process)
    )
    noise = replayed_noise([START, *plan.draws], draws)
    with torch.inference_mode():
        heard = singer.hear(cascade.song, cascade.durations)
        assert heard.f0 is not None
        assert relative(heard.f0, golden["f0_denorm"]) < 1e-10
        mel = singer.walk(heard, singer.first_state(heard, 0.6, noise), plan, noise)
    assert relative(mel.mT, golden["mel_out"]) < 1e-8


def test_its_own_ancestral_sampling_is_the_public_cascade_s_but_for_rounded_buffers(cascade: Published):
    singer, golden = cascade.singer(DDPM(steps=100, beta_max=0.06), **SHALLOW), cascade.golden
    keys = [START, *((step, "step", 0) for step in range(60))]
    noise = replayed_noise(keys, [draw(f"cascade:randn:{i}", 1, 1, 80, 23) for i in range(61)])
    assert relative(singer.sing(cascade.song, cascade.durations, noise=noise).mel.mT, golden["mel_out"]) < 2e-6
    auxiliary = singer.sing(cascade.song, cascade.durations, start=0)
    assert relative(auxiliary.mel.mT, golden["aux_mel"]) < 1e-10


def test_it_walks_as_public_pndm_walked():
    """1000 levels, every 40th, from noise, which is told level 960; no estimate is clamped."""
    options = {"solver_options": {"compat": "pndm"}, "grid_options": {"spacing": "leading"}}
    sampling = Sampling("plms", 25, "integer", **options)
    model = published("mitr_ds1000", pitch_layers=0)
    singer = model.singer(Rounded(), start=1.0, auxiliary=False, clamp=False, sampling=sampling)
    noise = replayed_noise([START], [draw("ds1000:randn:1", 1, 1, 80, 26)])  # the first was for a state that is thrown away
    assert relative(singer.sing(model.song, model.durations, noise=noise).mel.mT, model.golden["mel_out"]) < 1e-8


def test_the_denoiser_s_loss_is_the_public_one(cascade: Published):
    singer, golden = cascade.singer(RoundedRoots(steps=100, beta_max=0.06), **SHALLOW), cascade.golden
    f0 = golden["train_f0_log2"].exp2() * (1 - golden["train_uv"])
    example = Example(cascade.song, cascade.durations, golden["train_gt_mel"].mT, f0, torch.ones_like(cascade.durations))
    noise = draw("cascade:train:randn:0", 1, 1, 80, 23)
    times = ((golden["train_t"] + 1) / 100).tolist()
    losses = singer.loss(example, "diffusion", times=times, noise=noise)
    assert set(losses) == {"diffusion"}
    assert relative(losses["diffusion"], golden["train_diff_loss"]) < 1e-8


def song(items: slice = slice(None), phones: int = 6) -> Song:
    """Three items of 6, 4 and 1 phones."""
    generator = torch.Generator().manual_seed(0)
    there = torch.arange(6) < torch.tensor(PHONES)[:, None]
    numbers, notes = (torch.randint(1, most, (3, 6), generator=generator) * there for most in (9, 128))
    seconds = torch.rand(3, 6, generator=generator) * there
    slurs = torch.randint(0, 2, (3, 6), generator=generator) * there
    return Song(*(each[items, :phones] for each in (numbers, notes, seconds, slurs)))


def f0() -> torch.Tensor:
    values = 80 * 8 ** torch.rand(3, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.where(values > 500, 0, values)


def example(config: SingerConfig = TINY) -> Example:
    mel = -6 + 6 * torch.rand(3, config.spectrogram.bins, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    given = song()
    return Example(given._replace(seconds=given.seconds.double()), DURATIONS, mel, f0(), (torch.arange(6) // 2 + 1) * (given.phones > 0))


@pytest.fixture(params=[TINY, FLOW, BLIND], ids=["diffusion", "flow", "without pitch"])
def singer(request) -> Singer:
    return golden_singer(request.param)


@pytest.mark.parametrize("start", [0, 0.3, 0.6, 1])
def test_an_item_depends_on_no_other(singer: Singer, start: float):
    pitched = f0() if singer.config.encoder.pitch_layers else None
    firsts = torch.tensor([5, 100, 7])
    together = singer.sing(song(), DURATIONS, pitched, start=start, seed=3, first_frame=firsts)
    assert together.frames.tolist() == FRAMES
    for i, (phones, frames) in enumerate(zip(PHONES, FRAMES, strict=True)):
        items = slice(i, i + 1)
        own = None if pitched is None else pitched[items, :frames]
        alone = singer.sing(song(items, phones), DURATIONS[items, :phones], own, start=start, seed=3, first_frame=int(firsts[i]))
        torch.testing.assert_close(together.mel[items, :, :frames], alone.mel, rtol=1e-9, atol=1e-9)
        assert not together.mel[i, :, frames:].any()


def test_a_start_at_0_is_the_auxiliary_mel_and_draws_nothing(singer: Singer):
    def noise(*_):
        raise AssertionError

    heard = singer.hear(song(), DURATIONS)
    calls = count_calls(singer.denoiser)
    assert torch.equal(singer.sing(song(), DURATIONS, start=0, noise=noise).mel, singer.auxiliary(heard))
    assert not calls


def test_a_start_from_noise_runs_no_auxiliary_decoder_and_draws_once(singer: Singer):
    """The public code runs it, covers its mel with noise, and throws both away."""
    calls, drawn = count_calls(singer.encoder.decoder), list[tuple]()

    def noise(*key):
        drawn.append(key)
        return torch.randn(3, 1, 6, 12, generator=torch.Generator().manual_seed(0))

    from_noise = singer.sing(song(), DURATIONS, start=1, noise=noise)
    assert (calls, drawn) == ([], [START])
    drawn.clear()
    shallow = singer.sing(song(), DURATIONS, noise=noise)
    assert (len(calls), drawn) == (1, [START])
    assert not torch.equal(from_noise.mel, shallow.mel)


def test_the_condition_is_projected_once(singer: Singer):
    projections, calls = count_calls(singer.denoiser.condition[0]), count_calls(singer.denoiser)
    singer.sing(song(), DURATIONS)
    assert (len(projections), len(calls)) == (1, 5)


def test_the_state_at_the_start_is_the_auxiliary_mel_under_noise(singer: Singer):
    heard, node = singer.hear(song(), DURATIONS), singer.config.process.at(0.6)
    one, zero = (singer.first_state(heard, 0.6, lambda *_, value=value: torch.full((), value)) for value in (1.0, 0.0))
    torch.testing.assert_close(zero[:, 0], node.alpha * singer.normalisation(singer.auxiliary(heard)))
    torch.testing.assert_close(one - zero, torch.full_like(one, node.sigma))
    assert singer.first_state(heard, 1, lambda *_: torch.ones(())).flatten()[0] == pytest.approx(1, rel=1e-12)


def test_flow_is_one_line_of_the_configuration():
    assert replace(TINY, process=RectifiedFlow()).predicted.name == "prediction 'flow' on RectifiedFlow"
    assert TINY.predicted.name == "prediction 'noise' on DDPM"
    assert replace(FLOW, prediction="velocity").predicted.name == "prediction 'velocity' on RectifiedFlow"


PNDM = Sampling("plms", 3, "integer", grid_options={"spacing": "leading"})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (TINY, [59, 47, 35, 23, 11]),
        (FLOW, [600, 480, 360, 240, 120]),
        (replace(TINY, sampling=PNDM), [40, 20, 20, 0]),  # as the public code: its state is that of level 59, a step above
        (replace(TINY, sampling=replace(PNDM, grid_options={})), [59, 30, 30, 0]),
    ],
)
def test_the_denoiser_is_told_numbers_that_it_can_tell_apart(config: SingerConfig, told: list[float]):
    singer, heard = golden_singer(config), list[float]()
    singer.denoiser.step.register_forward_hook(lambda _, given, __: heard.append(float(given[0][0])))
    singer.sing(song(), DURATIONS)
    assert heard == pytest.approx(told, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("solver", ["ddim", "ddpm", "plms", "unipc", "heun"])
def test_any_solver_sings(singer: Singer, solver: str):
    performances = [singer.sing(song(), DURATIONS, solver=solver, steps=4, seed=seed) for seed in (0, 0, 1)]
    assert performances[0].mel.isfinite().all()
    assert torch.equal(performances[0].mel, performances[1].mel)
    assert not torch.equal(performances[0].mel, performances[2].mel)


def test_in_half_precision_it_sings_nearly_the_same():
    exact = Singer(TINY)
    rounded = Singer(TINY, exact.network.eval()).to("cpu", torch.bfloat16)
    mels = [singer.sing(song(), DURATIONS, steps=2).mel for singer in (exact, rounded)]
    assert mels[1].dtype == torch.float32
    assert (mels[1] - mels[0]).abs().max() < 0.1


@pytest.mark.parametrize("solver", ["ddim", "plms"])
def test_estimates_are_held_in_the_range_of_mels_whatever_the_solver(solver: str):
    """In the public code by its DDPM alone."""
    sung = {}
    for clamp in (True, False):
        singer = golden_singer(replace(TINY, clamp=clamp))
        sung[clamp] = singer.normalisation(singer.sing(song(), DURATIONS, solver=solver, steps=8).mel)[0].abs().max()
    assert sung[True] <= 1 + 1e-9 < 1.01 < sung[False]


def test_f0_is_used_as_given_and_stays_as_it_is():
    singer, pitched = golden_singer(TINY), f0() + 100  # also after an item's end
    kept = pitched.clone()
    given = singer.sing(song(), DURATIONS, pitched)
    assert torch.equal(pitched, kept)
    assert torch.equal(given.f0, kept)
    assert not torch.equal(given.mel, singer.sing(song(), DURATIONS).mel)


def test_predicted_durations_are_numbers_of_frames_for_the_caller_to_round():
    durations = golden_singer(TINY).durations(song())
    assert durations.shape == (3, 6)
    assert (durations >= 0).all()
    assert not durations[song().phones == 0].any()


def test_limits_of_mels_are_saved_with_the_weights():
    singer = Singer(TINY)
    assert singer.normalisation.low.tolist() == [-6] * 6
    singer.normalisation.set(torch.arange(6) - 7.0, torch.arange(6) / 10)
    mel = torch.randn(2, 6, 3)
    other = Singer(TINY)
    other.network.load_state_dict(singer.network.state_dict())
    assert torch.equal(other.normalisation(mel), singer.normalisation(mel))
    torch.testing.assert_close(other.normalisation.inverse(other.normalisation(mel)), mel)
    assert other.normalisation(other.normalisation.low[None, :, None]).flatten().tolist() == [-1] * 6
    assert other.normalisation(other.normalisation.high[None, :, None]).flatten().tolist() == pytest.approx([1] * 6)


STAGES = {
    "auxiliary": {"duration", "word", "sentence", "f0", "voicing", "mel"},
    "diffusion": {"diffusion"},
    "together": {"duration", "word", "sentence", "f0", "voicing", "diffusion"},
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_teaches_its_own_part(singer: Singer, stage):
    singer.network.requires_grad_(True)
    losses = singer.loss(example(), stage, torch.Generator().manual_seed(0))
    expected = STAGES[stage] if singer.config.encoder.pitch_layers else STAGES[stage] - {"f0", "voicing"}
    assert set(losses) == expected
    assert all(loss.ndim == 0 and loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    taught = {name.partition(".")[0] for name, weight in singer.network.named_parameters() if weight.grad is not None}
    assert taught == {"auxiliary": {"encoder"}}.get(stage, {"encoder", "denoiser"})
    decoder = [weight.grad is not None for weight in singer.encoder.decoder.parameters()]
    assert all(decoder) if stage == "auxiliary" else not any(decoder)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_padding_has_no_part_in_a_loss(singer: Singer, stage, norm):
    """In the public code it trains the denoiser."""
    batch, noise = example(), torch.randn(3, 1, 6, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    ended = torch.arange(12) >= torch.tensor(FRAMES)[:, None]
    other = batch._replace(mel=torch.where(ended[:, None], 40.0, batch.mel), f0=torch.where(ended, 300.0, batch.f0))
    louder = torch.where(ended[:, None, None], 5.0, noise)
    options = {"norm": norm, "times": [0.1, 0.35, 0.6]}
    losses = singer.loss(batch, stage, noise=noise, **options)
    others = singer.loss(other, stage, noise=louder, **options)
    longer = Example(
        Song(*(torch.nn.functional.pad(each, (0, 2)) for each in batch.song)),
        *(torch.nn.functional.pad(each, (0, 2)) for each in (batch.durations,)),
        batch.mel, batch.f0, torch.nn.functional.pad(batch.words, (0, 2)),
    )  # fmt: skip
    for name, loss in losses.items():
        assert float(others[name]) == pytest.approx(float(loss), rel=1e-10)
        assert float(singer.loss(longer, stage, noise=noise, **options)[name]) == pytest.approx(float(loss), rel=1e-10)


def test_the_losses_vanish_where_all_is_right():
    batch = example()
    there = batch.song.phones > 0
    losses = duration_losses(DURATIONS.double().log1p(), DURATIONS, batch.words, there)
    assert all(abs(loss) < 1e-20 for loss in losses.values())
    mask = torch.arange(12) < torch.tensor(FRAMES)[:, None]
    mel = (batch.mel + 6) / 6
    assert structural_similarity(mel, mel, mask) == pytest.approx(1, abs=1e-12)
    assert structural_similarity(mel, 1 - mel, mask) < 0.2
    assert structural_similarity(mel, mel.where(mask[:, None], 0.3), mask) == pytest.approx(1, abs=1e-12)


def test_structural_similarity_of_flat_mels_is_known():
    mask, flat = torch.arange(9) < torch.tensor([[9], [4]]), torch.ones(2, 7, 9, dtype=torch.float64)
    expected = (2 * 0.2 * 0.7 + 1e-4) / (0.2**2 + 0.7**2 + 1e-4)  # Wang et al. 2004, eq. 6
    assert float(structural_similarity(0.2 * flat, 0.7 * flat, mask)) == pytest.approx(expected, rel=1e-9)


def test_pitch_is_judged_in_octaves_where_there_is_voice():
    said = Pitch(torch.tensor([[7.0, 8.0, 3.0, 5.0]]), torch.tensor([[0.0, -50.0, 50.0, 9.0]]))
    losses = pitch_losses(said, torch.tensor([[256.0, 256.0, 0.0, 100.0]]), torch.tensor([[True, True, True, False]]))
    assert float(losses["f0"]) == pytest.approx(0.5)
    assert float(losses["voicing"]) == pytest.approx(math.log(2) / 3)
    silent = pitch_losses(said, torch.zeros(1, 4), torch.zeros(1, 4, dtype=torch.bool))
    assert [float(loss) for loss in silent.values()] == [0, 0]


def test_words_and_sentences_are_judged_by_their_sums():
    """Two frames that change place within a word are wrong for phones alone."""
    words, there, durations = torch.tensor([[1, 1, 2]]), torch.ones(1, 3, dtype=torch.bool), torch.tensor([[2, 4, 3]])
    moved = duration_losses(torch.tensor([[4.0, 2.0, 3.0]]).log1p(), durations, words, there)
    assert moved["duration"] > 0.1
    assert max(moved["word"], moved["sentence"]) < 1e-10
    across = duration_losses(torch.tensor([[2.0, 3.0, 4.0]]).log1p(), durations, words, there)
    assert float(across["word"]) == pytest.approx((math.log(7 / 6) ** 2 + math.log(5 / 4) ** 2) / 2, rel=1e-5)
    assert across["sentence"] < 1e-10
    longer = duration_losses(torch.tensor([[2.0, 4.0, 5.0]]).log1p(), durations, words, there)
    assert float(longer["sentence"]) == pytest.approx(math.log(12 / 10) ** 2, rel=1e-5)


def test_it_is_trained_on_the_levels_of_its_chain_and_no_later_than_it_says():
    generator = torch.Generator().manual_seed(0)
    levels = [100 * time for time in Singer(replace(TINY, latest=0.6)).random_times(2000, generator)]
    assert {round(level) for level in levels} == set(range(1, 61))
    assert all(abs(level - round(level)) < 1e-9 for level in levels)
    times = Singer(replace(FLOW, latest=0.6)).random_times(2000, generator)
    assert 0 < min(times) < 0.01 < 0.59 < max(times) <= 0.6


VOCODER = NSFHiFiGANConfig(16_000, 16, 6, channels=8, rates=(4, 4), kernels=(8, 8), block_kernels=(3,), dilations=(1,), harmonics=3)


def test_a_voice_s_items_sound_as_they_do_alone():
    """In the public code a batch is one waveform, and shares its phases."""
    torch.manual_seed(0)
    voice = Voice(golden_singer(TINY), NSFHiFiGAN(VOCODER).double(), MEL)
    firsts = torch.tensor([0, 40, 9])
    sound = voice.sing(song(), DURATIONS, f0(), seed=7, first_frame=firsts)
    assert sound.shape == (3, 12 * 16)
    for i, (phones, frames) in enumerate(zip(PHONES, FRAMES, strict=True)):
        items = slice(i, i + 1)
        given = song(items, phones), DURATIONS[items, :phones], f0()[items, :frames]
        torch.testing.assert_close(sound[items, : frames * 16], voice.sing(*given, seed=7, first_frame=firsts[items]), rtol=0, atol=1e-9)
        assert not sound[i, frames * 16 :].any()
    assert not torch.equal(sound, voice.sing(song(), DURATIONS, f0(), seed=8, first_frame=firsts))


def test_a_vocoder_s_noise_is_that_of_the_frame_in_the_whole():
    config, mel = NSFHiFiGANConfig(harmonics=64), torch.zeros(2, 80, 100)
    whole, part = (vocoder_draws(config, mel[..., first:], 3, first) for first in (0, 40))
    assert torch.equal(part.noise, whole.noise[..., 40 * config.hop :])
    firsts = vocoder_draws(config, mel, 3, torch.tensor([0, 40]))
    assert torch.equal(firsts.noise[:1], whole.noise[:1])
    assert torch.equal(firsts.phases[1], part.phases[0])
    assert (firsts.phases[1] != firsts.phases[0]).all()
    assert 0 <= whole.phases.min() < 0.1 < 0.9 < whole.phases.max() <= 1
    assert abs(whole.noise.mean()) < 0.004
    assert abs(whole.noise.std() - 1) < 0.004


def count_calls(module: torch.nn.Module) -> list[int]:
    calls = list[int]()
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phones": tuple("abc")}, "the encoder's phones are 9, expected 4: the phones and padding"),
        ({"phones": tuple("abcdefga")}, "the phone 'a' is listed twice"),
        ({"denoiser": replace(TINY.denoiser, bins=7)}, "the denoiser's bins are 7, expected 6"),
        ({"encoder": replace(TINY.encoder, bins=7)}, "the encoder's bins are 7, expected 6"),
        ({"denoiser": replace(TINY.denoiser, condition=9)}, "the denoiser's condition is 9, expected 8"),
        ({"process": BridgeVE()}, "BridgeVE goes to a noisy sound"),
        ({"start": 0.7, "latest": 0.6}, "start is 0.7, expected 0.6 or less"),
        ({"auxiliary": False}, "start is 0.6, expected 1: this model has no auxiliary decoder"),
        ({"start": 1.5}, "start is 1.5, expected 0 to 1"),
        ({"prediction": "noice"}, "unknown prediction 'noice': did you mean 'noise'"),
        ({"process": RectifiedFlow(), "prediction": "noise", "start": 1.0}, "says nothing of the clean sound at time 1"),
        ({"sampling": Sampling("ddpm", 61, "integer")}, "steps is 61, expected 1 to 60"),
        ({"presets": {"slow": Sampling("ddpm", 61, "integer")}}, "steps is 61, expected 1 to 60"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(change: dict, message: str):
    with pytest.raises(ConfigError, match=message) as error:
        replace(TINY, **change)
    assert "\n" not in str(error.value)


def changed(**parts) -> Song:
    return song()._replace(**parts)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ((song(), DURATIONS[:, :5]), {}, r"durations are \(3, 5\), expected \(3, 6\)"),
        ((song(), DURATIONS.double()), {}, "in whole frames, got .* round them"),
        ((song(), -DURATIONS), {}, "a duration is negative"),
        ((song(), DURATIONS + 1), {}, "stands where there is no phone"),
        ((song(), 0 * DURATIONS), {}, "all durations are 0"),
        ((song(), DURATIONS, f0()[:, :11]), {}, r"F0 is expected as \(3, 12\)"),
        ((song(), DURATIONS, -f0()), {}, "F0 is negative or not finite"),
        ((changed(notes=song().notes[:, :5]), DURATIONS), {}, r"notes are expected as \(3, 6\)"),
        ((changed(notes=song().notes + 128), DURATIONS), {}, "a note is .*, expected 0 to 127"),
        ((changed(phones=song().phones + 9), DURATIONS), {}, "a phone is .*, expected 0 to 8"),
        ((changed(phones=song().phones[0]), DURATIONS), {}, r"phones are \(6,\), expected \(batch, phone\)"),
        ((changed(slurs=song().slurs.double()), DURATIONS), {}, "slurs are torch.float64, expected integers"),
        ((changed(seconds=-song().seconds), DURATIONS), {}, "seconds are negative"),
        ((song(), DURATIONS), {"start": 1.1}, "start is 1.1, expected 0 to 1"),
        ((song(), DURATIONS), {"preset": "best"}, "has no preset 'best': it has none"),
        ((song(), DURATIONS), {"solver": "ddmp"}, "unknown solver 'ddmp'"),
        ((song(), DURATIONS), {"noise": lambda *_: torch.zeros(1, 1, 6, 11)}, "has the shape"),
    ],
)
def test_what_cannot_be_sung_is_refused(given: tuple, options: dict, message: str):
    with pytest.raises(ConfigError, match=message) as error:
        golden_singer(TINY).sing(*given, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mel": example().mel[..., :11]}, r"the mel is \(3, 6, 11\), expected \(3, 6, 12\)"),
        ({"f0": f0()[:, :11]}, r"F0 is \(3, 11\), expected \(3, 12\)"),
        ({"durations": DURATIONS[:, :5]}, r"durations are \(3, 5\), expected \(3, 6\)"),
        ({"words": example().words + 4}, "a word's number is not one of 0 to 6"),
        ({"words": DURATIONS[:2]}, r"words are \(2, 6\), expected \(3, 6\)"),
    ],
)
def test_a_batch_whose_sizes_do_not_match_is_refused(change: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        golden_singer(TINY).loss(example()._replace(**change), "together")


@pytest.mark.parametrize("options", [{"stage": "both"}, {"stage": "diffusion", "norm": "l3"}, {"stage": "auxiliary", "ssim": 2.0}])
def test_options_of_losses_that_are_none_are_refused(options: dict):
    with pytest.raises(ConfigError, match=r"singer: (stage|norm|ssim) is .*, expected"):
        golden_singer(TINY).loss(example(), **options)


def test_unknown_phones_are_named():
    assert TINY.numbers(["c", "a"]) == [3, 1]
    with pytest.raises(ConfigError, match="phone 2 is 'x', which it cannot sing"):
        TINY.numbers(["a", "x"])


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (torch.zeros(5), torch.ones(6), r"least mels are \(5,\), expected \(6,\)"),
        (torch.zeros(6), torch.full((6,), math.inf), "greatest mels are .* all finite"),
        (torch.zeros(6), torch.tensor([1.0, 1, 1, 0, 1, 1]), "the least mel of bin 3 is not below"),
    ],
)
def test_limits_that_are_none_are_refused(low: torch.Tensor, high: torch.Tensor, message: str):
    with pytest.raises(ConfigError, match=message):
        Singer(TINY).normalisation.set(low, high)


def test_a_vocoder_that_hears_other_mels_is_refused():
    singer = Singer(TINY)
    with pytest.raises(ConfigError, match="mels have hop 8, the singer's 16"):
        Voice(singer, NSFHiFiGAN(replace(VOCODER, hop=8, rates=(4, 2), kernels=(8, 4))), MEL)
    with pytest.raises(ConfigError, match="mels have base ln, the singer's log10"):
        Voice(singer, NSFHiFiGAN(VOCODER), replace(MEL, base="ln"))


def test_a_vocoder_without_f0_is_refused():
    voice = Voice(golden_singer(BLIND), NSFHiFiGAN(VOCODER).double(), MEL)
    with pytest.raises(ConfigError, match="the vocoder needs F0"):
        voice.sing(song(), DURATIONS)
