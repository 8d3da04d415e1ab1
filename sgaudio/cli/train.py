"""`sgaudio train RECIPE [section.option=value ...]`: from a corpus on disk to a model."""

from typing import Annotated

import typer


def train(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A name, as folder/bridge, or a path that ends in .yaml.", show_default=False)] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the resolved recipe, parameters, memory and time; train nothing.")
    ] = False,
) -> None:
    """Train a model by a recipe.

    Everything after RECIPE is handed to hydra: section.option=value for any option of the recipe, -m and option=1,2 for a sweep,
    --cfg job to see what is composed. Without RECIPE, the recipes are listed.

    For example: sgaudio train folder/denoise data.clean=my/clean data.noise=my/noise trainer.minutes=60
    """
    from sgaudio.errors import CheckpointError, ConfigError, SgaudioError
    from sgaudio.training import STARTED
    from sgaudio.training.compose import Values, recipes, run_jobs

    if not recipe:
        typer.echo("\n".join(recipes()))
        return

    starts = iter([STARTED])  # a first run pays for what is imported, further ones of a sweep begin when they begin

    def job(values: Values) -> int:
        from sgaudio.training.forecast import forecast
        from sgaudio.training.recipe import recipe_from_mapping
        from sgaudio.training.run import resolved, train

        built = recipe_from_mapping(values)
        if not dry_run:
            return train(built, next(starts, None))
        typer.echo(resolved(built))
        typer.echo("\n".join(forecast(built)))
        return 0

    try:
        status = max(run_jobs(recipe, context.args, job), default=0)
    except (ConfigError, CheckpointError):
        raise  # wrong use
    except SgaudioError as error:
        typer.echo(f"sgaudio: {error}", err=True)
        status = 1
    raise typer.Exit(status)
