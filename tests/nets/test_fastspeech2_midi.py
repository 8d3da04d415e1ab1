import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.nets.fastspeech2_midi import (
    CountedDown,
    FastSpeech2Midi,
    FastSpeech2MidiConfig,
    Pitch,
    expand,
    pitch_bins,
    predicted_frames,
    published_keys,
    regulate,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "diffsinger"
CASCADE = FastSpeech2MidiConfig()
END_TO_END = replace(CASCADE, pitch_layers=0)
TINY = FastSpeech2MidiConfig(phones=9, width=8, encoder_layers=2, decoder_layers=2, kernel=5, duration_layers=2, pitch_layers=2, bins=6)
PHONES, DURATIONS = [6, 4, 1, 0], torch.tensor([[2, 3, 0, 1, 4, 2], [3, 0, 2, 1, 0, 0], [4, 0, 0, 0, 0, 0], [0] * 6])
FRAMES = [12, 6, 4, 0]


def golden_weight(key: str, shape: torch.Size) -> torch.Tensor:
    """The rule of the golden numbers."""
    values = np.random.Generator(np.random.Philox(key=zlib.crc32(key.encode()))).standard_normal(shape)
    last = key.rpartition(".")[2]
    if "bias" in last:
        return torch.from_numpy(0.1 * values)
    return torch.from_numpy(1 + 0.1 * values if len(shape) < 2 else values / np.prod(shape[1:]) ** 0.5)


def golden_network(config: FastSpeech2MidiConfig) -> FastSpeech2Midi:
    with torch.device("meta"):
        network = FastSpeech2Midi(config)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    keys = {ours: public for public, ours in reversed(published_keys(config).items()) if ours}  # of two keys, the first
    network.load_state_dict({ours: golden_weight(f"fs2.{public}", shapes[ours]) for ours, public in keys.items()}, assign=True)
    return network.eval()


def score(batch: int = 4) -> list[torch.Tensor]:
    """Phones, notes, seconds, slurs and alignment of four items of 6, 4, 1 and no phones."""
    generator = torch.Generator().manual_seed(0)
    there = torch.arange(6) < torch.tensor(PHONES)[:, None]
    phones = torch.randint(1, 9, (4, 6), generator=generator) * there
    notes = torch.randint(1, 128, (4, 6), generator=generator)
    notes[:, 0] = 0  # a rest
    seconds = torch.rand(4, 6, generator=generator, dtype=torch.float64)
    slurs = torch.randint(0, 2, (4, 6), generator=generator)
    return [each[:batch] for each in (phones, notes, seconds, slurs, regulate(DURATIONS, 12))]


def f0(batch: int = 4) -> torch.Tensor:
    values = 80 * 8 ** torch.rand(4, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.where(values > 500, 0, values)[:batch]


@pytest.fixture
def network() -> FastSpeech2Midi:
    """One in which, other than in a new one, nothing is zero."""
    return golden_network(TINY)


@pytest.fixture(scope="module", params=["mitr_cascade", "mitr_e2e"])
def published(request):
    """A network of published size and what the public one computed."""
    golden = {name: torch.from_numpy(value) for name, value in np.load(GOLDEN / f"{request.param}.npz").items()}
    return golden_network(CASCADE if request.param == "mitr_cascade" else END_TO_END).requires_grad_(False), golden


def assert_golden(found: torch.Tensor, golden: torch.Tensor) -> None:
    assert found.shape == golden.shape
    assert (found - golden).abs().max() < 1e-10 * golden.abs().max()


def test_it_computes_what_the_public_code_computed(published):
    network, golden = published
    phones, notes, seconds, slurs, alignment = (golden[key][None] for key in ("txt_tokens", "pitch_midi", "midi_dur", "is_slur", "mel2ph"))
    frames = alignment > 0
    assert_golden(network.encode(phones, notes, seconds, slurs), golden["encoder_out"])
    sung = network(phones, notes, seconds, slurs, alignment)
    assert_golden(sung.log_durations, golden["dur_log"])
    assert_golden(sung.condition, golden["decoder_inp"])
    assert_golden(network.mel(sung.condition, frames), golden["aux_mel"])
    if network.config.pitch_layers:
        assert_golden(torch.stack(sung.pitch[:2], -1), golden["pitch_pred"])
        assert_golden(sung.pitch.f0(frames), golden["f0_denorm"])
        sung_f0 = golden["train_f0_log2"].exp2() * (1 - golden["train_uv"])
        assert_golden(network(phones, notes, seconds, slurs, alignment, sung_f0).condition, golden["train_decoder_inp"])


def test_predicted_durations_lay_frames_out_as_in_the_public_code(published):
    _, golden = published
    durations = predicted_frames(golden["dur_log"]).round().long()
    assert torch.equal(durations, golden["pred_dur_frames"])
    assert torch.equal(regulate(durations, golden["pred_mel2ph"].shape[1]), golden["pred_mel2ph"])


@pytest.mark.parametrize(("config", "count"), [(CASCADE, 25_909_333), (END_TO_END, 24_189_778)])
def test_published_sizes_hold_as_many_numbers_as_published(config, count):
    with torch.device("meta"):
        assert sum(weight.numel() for weight in FastSpeech2Midi(config).parameters()) == count


@pytest.mark.parametrize("config", [CASCADE, END_TO_END], ids=["cascade", "end-to-end"])
def test_every_public_key_has_its_tensor_here(config):
    with torch.device("meta"):
        ours = {key: ",".join(map(str, value.shape)) for key, value in FastSpeech2Midi(config).state_dict().items()}
    lines = (GOLDEN / "mitr_cascade_keys.txt").read_text().splitlines()
    public = dict(line.removeprefix("fs2.").split() for line in lines if line.startswith("fs2."))
    if not config.pitch_layers:
        public = {key: shape for key, shape in public.items() if not key.startswith("pitch_")}
    keys = published_keys(config)
    assert {key: ours[mine] if mine else "1" for key, mine in keys.items()} == public
    assert {key.rpartition(".")[2] for key, mine in keys.items() if not mine} == {"_float_tensor"}
    assert set(filter(None, keys.values())) == set(ours)


def test_pitch_is_told_in_equal_steps_of_the_mel_scale():
    hertz = [0, 40, 49.9, 50, 55, 80, 110, 220, 440, 750, 880, 1100, 4000]
    bins = [1, 1, 1, 1, 3, 12, 23, 60, 122, 192, 217, 255, 255]
    for dtype in (torch.float32, torch.float64):
        assert pitch_bins(torch.tensor(hertz, dtype=dtype)).tolist() == bins


def test_frames_belong_to_the_phones_whose_durations_hold_them():
    assert regulate(torch.tensor([[2, 0, 1], [1, 3, 0]]), 5).tolist() == [[1, 1, 3, 0, 0], [1, 2, 2, 2, 0]]
    hidden = torch.tensor([[[1.0], [2.0], [3.0]]])
    assert expand(hidden, torch.tensor([[1, 1, 3, 0]]))[..., 0].tolist() == [[1, 1, 3, 0]]


def test_an_item_depends_neither_on_its_padding_nor_on_its_batch(network):
    given, pitched = score(), f0()
    together, free = network(*given, pitched), network(*given)
    mel = network.mel(together.condition, given[4] > 0)
    assert all(torch.isfinite(each).all() for each in (mel, free.condition, *together.pitch))
    for i, (phones, frames) in enumerate(zip(PHONES, FRAMES, strict=True)):
        for rest in (together.log_durations[i, phones:], mel[i, frames:], free.condition[i, frames:], together.condition[i, frames:]):
            assert not rest.any()
        if not phones:
            continue
        single = [*(each[i : i + 1, :phones] for each in given[:4]), given[4][i : i + 1, :frames]]
        alone, free_alone = network(*single, pitched[i : i + 1, :frames]), network(*single)
        for found, expected in (
            (together.log_durations[i, :phones], alone.log_durations[0]),
            (together.pitch.log2_f0[i, :frames], alone.pitch.log2_f0[0]),
            (together.pitch.unvoiced[i, :frames], alone.pitch.unvoiced[0]),
            (together.condition[i, :frames], alone.condition[0]),
            (free.condition[i, :frames], free_alone.condition[0]),
            (mel[i, :frames], network.mel(alone.condition, single[4] > 0)[0]),
        ):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_an_item_of_padding_alone_teaches_nothing_wrong(network):
    """A row without a key makes plain attention divide 0 by 0."""
    given = score()
    sung = network(*given, f0())
    network.mel(sung.condition, given[4] > 0).square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters() if weight.grad is not None)


@pytest.mark.parametrize("part", ["pitch", "mel"])
def test_a_frame_of_zeros_is_a_frame(network, part):
    """The public code takes a first channel of 0 for padding, and all later frames lose a position."""
    frames, mask = (
        torch.randn(1, 12, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2)),
        torch.ones(1, 12, dtype=torch.bool),
    )
    outputs = []
    for value in (0.0, 1e-9):
        frames[:, 4], frames[:, 7, 0] = value, value
        output = getattr(network, part)(frames, mask)
        outputs.append(torch.stack(output) if part == "pitch" else output)
    assert 0 < (outputs[0] - outputs[1]).abs().max() < 1e-6


def test_a_longer_input_changes_no_shorter_one(network):
    """The public table of positions is made anew for more than 5000 phones, and every later sound is another."""
    network.float().requires_grad_(False)
    given = [each.float() if each.is_floating_point() else each for each in score(1)[:4]]
    before = network.encode(*given)
    assert network.encode(*(each[:, :1].expand(1, 5001) for each in given)).isfinite().all()
    assert torch.equal(network.encode(*given), before)


@pytest.mark.parametrize("length", [1, 3, 4999, 5000, 6000])
def test_the_first_phone_stands_at_4999_however_long_the_input_is(length):
    table = CountedDown()(torch.zeros(1, length, 4, dtype=torch.float64))[0]
    position = 4999 - torch.arange(min(length, 3), dtype=torch.float64)
    expected = torch.stack([position.sin(), position.cos(), (position / 100).sin(), (position / 100).cos()], -1)
    torch.testing.assert_close(table[:3], expected, rtol=0, atol=1e-5)


def test_the_f0_that_is_given_stays_as_it_is(network):
    """The public code writes zeros into it."""
    given, pitched = score(2), 100 + f0(2)
    kept = pitched.clone()
    network(*given, pitched)
    assert torch.equal(pitched, kept)


def test_predicted_f0_is_0_without_voice_and_where_the_sound_has_ended(network):
    said = Pitch(torch.full((1, 3), 7.0), torch.tensor([[-1.0, 1.0, -1.0]]))
    assert said.f0(torch.tensor([[True, True, False]])).tolist() == [[128, 0, 0]]


def test_the_auxiliary_decoder_runs_only_when_it_is_asked(network):
    """In the public code it runs for a start from noise as well, and is thrown away."""
    calls = []
    network.decoder.register_forward_hook(lambda *_: calls.append(1))
    sung = network(*score(1), f0(1))
    assert not calls
    network.mel(sung.condition, score(1)[4] > 0)
    assert len(calls) == 1


def test_all_that_it_takes_is_heeded(network):
    given, pitched = score(1), f0(1)
    pitched[:] = 200
    condition = network(*given, pitched).condition
    for i, other in enumerate((given[0] % 8 + 1, (given[1] + 1) % 128, 2 * given[2], 1 - given[3], given[4].flip(1).sort().values % 3 + 1)):
        changed = [*given[:i], other, *given[i + 1 :], pitched]
        assert (network(*changed).condition - condition).abs().max() > 1e-3
    assert (network(*given, 2 * pitched).condition - condition).abs().max() > 1e-3


def test_every_weight_learns(network):
    given = score(2)
    sung = network(*given, f0(2))
    mel = network.mel(sung.condition, given[4] > 0)
    (mel.square().sum() + sung.log_durations.square().sum() + sum(each.square().sum() for each in sung.pitch)).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_predictors_teach_the_encoder_as_much_as_is_said(share):
    def gradient(share: float) -> torch.Tensor:
        network = golden_network(replace(TINY, predictor_gradient=share))
        sung = network(*score(2), f0(2))
        (sung.log_durations.sum() + sung.pitch.log2_f0.sum()).backward()
        return network.encoder.blocks[0].qkv.weight.grad

    torch.testing.assert_close(gradient(share), share * gradient(1.0), rtol=1e-9, atol=1e-12)


def test_padding_and_rests_have_rows_of_zeros_that_stay():
    network = FastSpeech2Midi(TINY).double()
    given = score(2)
    network(*given, f0(2)).condition.sum().backward()
    for table in (network.phone, network.note):
        assert not table.weight[0].any()
        assert not table.weight.grad[0].any()


def test_dropout_is_for_training_only():
    network = golden_network(TINY)
    given, pitched = score(2), f0(2)
    assert torch.equal(network(*given, pitched).condition, network(*given, pitched).condition)
    network.train()
    torch.manual_seed(0)
    first, second = network(*given, pitched), network(*given, pitched)
    assert not torch.equal(first.condition, second.condition)
    assert not torch.equal(first.log_durations, second.log_durations)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch does so itself
@pytest.mark.parametrize("pitched", [f0(2), None], ids=["F0 given", "F0 predicted"])
def test_it_is_one_graph_without_a_break(network, pitched):
    def sing(phones, notes, seconds, slurs, alignment):
        sung = network(phones, notes, seconds, slurs, alignment, pitched)
        return sung.log_durations, sung.condition, network.mel(sung.condition, alignment > 0)

    compiled = torch.compile(sing, fullgraph=True, dynamic=False, backend="eager")
    torch.testing.assert_close(compiled(*score(2)), sing(*score(2)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"width": 12, "heads": 4}, "width 12 over 4 heads is not an even number"),
        ({"kernel": 8}, "kernel is 8, expected an odd number"),
        ({"phones": 1}, "2 to 65536"),
        ({"encoder_layers": 0}, "1 to 64"),
        ({"dropout": 1.0}, "0 to 0.9"),
        ({"bins": "80"}, "expected int"),
    ],
)
def test_wrong_sizes_are_refused_at_construction(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        FastSpeech2MidiConfig(**options)


def test_wrong_inputs_are_refused(network):
    phones, notes, seconds, slurs, alignment = score(2)
    hidden, mask = network.encode(phones, notes, seconds, slurs), alignment > 0
    expanded = expand(hidden, alignment)
    for complaint, call in (
        (r"phones are expected as \(batch, phone\), got \(6,\)", lambda: network.encode(phones[0], notes, seconds, slurs)),
        (r"notes are expected as \(2, 6\), one a phone, got \(2, 5\)", lambda: network.encode(phones, notes[:, 1:], seconds, slurs)),
        (r"slurs are expected as \(2, 6\), one a phone, got \(1, 6\)", lambda: network.encode(phones, notes, seconds, slurs[:1])),
        (r"an alignment is expected as \(2, frame\), got \(1, 12\)", lambda: network(phones, notes, seconds, slurs, alignment[:1])),
        (r"F0 is expected as \(2, 12\), one value a frame, got \(2, 11\)", lambda: network.condition(expanded, mask, f0(2)[:, 1:])),
        (r"this FastSpeech2Midi needs F0: give it, or what it predicts", lambda: network.condition(expanded, mask)),
        (r"condition must be \(batch, position, 8\), got \(2, 8, 12\)", lambda: network.mel(expanded.mT, mask)),
        (r"a mask is expected as \(2, 12\), true or false, got \(2, 12\) of torch.int64", lambda: network.mel(expanded, alignment)),
        (r"durations are expected as .* in whole frames, got \(1, 2\) of torch.float32: round .*", lambda: regulate(torch.ones(1, 2), 2)),
    ):
        with pytest.raises(ConfigError, match=rf"^{complaint}$"):
            call()


def test_a_network_without_pitch_layers_neither_predicts_nor_heeds_pitch():
    network, given = golden_network(replace(TINY, pitch_layers=0)), score(1)
    sung = network(*given)
    assert sung.pitch is None
    with pytest.raises(ConfigError, match=r"heeds no F0 .* give none$"):
        network(*given, f0(1))
    with pytest.raises(ConfigError, match=r"no pitch predictor: its pitch_layers is 0$"):
        network.pitch(sung.condition, given[4] > 0)
