"""`sgaudio evaluate`: how good an enhancement is, beside what a user would pick instead."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from sgaudio.errors import ConfigError

SOUND, SYSTEMS, SCORES, OUTPUT = "Sound", "Systems", "Scores", "Output"


class SeveralValues(TyperCommand):
    """An option that may be repeated takes several values at once as well: `--steps 1 2 4`. For commands without arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        repeated = {name for parameter in self.params if getattr(parameter, "multiple", False) for name in parameter.opts}
        spread: list[str] = []
        option = None
        for place, word in enumerate(args):
            if word.startswith("-") and word != "-":
                if option and args[place - 1] == option:
                    raise ConfigError(f"option {option} needs a value, got {word!r}")
                name = word.partition("=")[0]
                option = name if name in repeated else None
            elif option and args[place - 1] != option:
                spread.append(option)
            spread.append(word)
        return super().parse_args(ctx, spread)


def evaluate(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the results.", show_default=False)],
    clean: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Clean sounds; without, only what needs none is measured.", rich_help_panel=SOUND),
    ] = None,
    noisy: Annotated[Path | None, typer.Option(metavar="DIR", help="Noisy sounds of the same names.", rich_help_panel=SOUND)] = None,
    mixtures: Annotated[
        Path | None,
        typer.Option(metavar="FILE.tsv", help="Instead: a table of speech, noise, SNR, mixed on the fly.", rich_help_panel=SOUND),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the table's paths start; its own folder by default.", rich_help_panel=SOUND)
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(metavar="FILE.tsv", help="What is said, for word error rates: name, tab, text in a line.", rich_help_panel=SOUND),
    ] = None,
    estimate: Annotated[
        list[Path] | None, typer.Option(metavar="DIR...", help="Enhanced sounds of the same names.", rich_help_panel=SYSTEMS)
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME...", help="Models (see sgaudio models) or paths of such.", rich_help_panel=SYSTEMS)
    ] = None,
    solver: Annotated[
        list[str] | None, typer.Option(metavar="NAME...", help="Each model with each of these solvers.", rich_help_panel=SYSTEMS)
    ] = None,
    steps: Annotated[
        list[int] | None, typer.Option(metavar="N...", help="Each model with each of these numbers of steps.", rich_help_panel=SYSTEMS)
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME...", help="Installed peers: rnnoise, deepfilternet3, wpe.", rich_help_panel=SYSTEMS),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the models: same seed, same sound.", rich_help_panel=SYSTEMS)] = 0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where models compute.", rich_help_panel=SYSTEMS)] = "auto",
    dtype: Annotated[
        str, typer.Option(metavar="float32|bfloat16|float16", help="How models compute.", rich_help_panel=SYSTEMS)
    ] = "float32",
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...",
            help="all, or of: pesq-wb, pesq-nb, stoi, estoi, si-sdr, si-sir, lsd, level, dnsmos, wer. "
            "Without: pesq-wb, estoi, si-sdr and dnsmos, as far as they are installed.",
            rich_help_panel=SCORES,
        ),
    ] = None,
    align: Annotated[bool, typer.Option("--align", help="Remove the constant delay that is found.", rich_help_panel=SCORES)] = False,
    jobs: Annotated[
        int | None, typer.Option(min=0, help="Processes beside this one; as many as cores by default.", rich_help_panel=SCORES)
    ] = None,
    spectrograms: Annotated[
        int, typer.Option(metavar="N", min=0, max=99, help="Pictures of the N sounds on which systems differ most.", rich_help_panel=OUTPUT)
    ] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of another evaluation.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Measure enhanced speech: PESQ, ESTOI, SI-SDR, DNSMOS and more, of several systems on the same sounds, with intervals.

    Sounds are paired by their path below the folder, without suffix. The noisy sound itself is always measured as well. An interrupted
    evaluation goes on where it stopped.
    """
    from sgaudio.cli.evaluation_screen import EvaluationScreen
    from sgaudio.evaluation import Evaluation, Installed, Unprocessed, folders, given, mixed, models, pairs
    from sgaudio.metrics import METRICS, selected

    sampled = "--solver" if solver else "--steps" if steps else ""
    estimates, run = estimate or [], [*(model or []), *(against or [])]
    _check_options(clean, noisy, mixtures, root, text, metrics or [], estimates, run, "" if model else sampled)
    items, left_out = mixed(mixtures, root, estimates) if mixtures else pairs(clean, noisy, estimates, text)
    chosen, not_had = selected(METRICS, metrics or [], given(items))
    systems = [
        *models(model or [], solver or [], steps or [], seed=seed, device=device, dtype=dtype),
        *folders(estimates),
        *map(Installed, against or []),
        *([Unprocessed()] if mixtures or noisy else []),
    ]
    evaluation = Evaluation(items, systems, chosen, align, spectrograms)
    screen = EvaluationScreen()
    for line in (*left_out, *not_had):
        screen.say(line)
    with screen.progress(evaluation):
        results = evaluation.run(out, jobs, overwrite, screen.scored)
    if not screen.summarise(results, align, out):
        raise typer.Exit(1)


def _check_options(
    clean: Path | None,
    noisy: Path | None,
    mixtures: Path | None,
    root: Path | None,
    text: Path | None,
    metrics: list[str],
    estimates: list[Path],
    run: list[str],
    sampled: str,
) -> None:
    if mixtures and (clean or noisy or text):
        raise ConfigError("--mixtures makes clean and noisy sounds, and has texts in a column: leave out --clean, --noisy and --text")
    if text and not {"wer", "all"} & {*metrics}:
        raise ConfigError("--text is for word error rates: name wer in --metrics")
    if root and not mixtures:
        raise ConfigError("--root belongs to --mixtures")
    if sampled:
        raise ConfigError(f"{sampled} belongs to --model")
    if not estimates and not run:
        raise ConfigError("nothing to evaluate: give --estimate DIR, --model NAME or --against NAME")
    if run and not mixtures and not noisy:
        raise ConfigError(f"{run[0]} needs noisy sounds: give --noisy DIR or --mixtures FILE.tsv")
