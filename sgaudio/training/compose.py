"""From a recipe's name and `section.option=value` arguments to plain values: hydra composes them.

A recipe is a YAML file. Arguments are hydra's own (https://hydra.cc): values in its grammar, `-m` and `option=1,2` for sweeps, `--cfg job`,
`hydra.*`. Any option of a recipe may be given, whether its file names it or not; unknown ones are refused when the recipe is built.
"""

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import sgaudio
from sgaudio.errors import ConfigError, SgaudioError
from sgaudio.registry import nearest

HOUSE = next(
    folder for folder in (Path(sgaudio.__file__).parent / "recipes", Path(sgaudio.__file__).parents[1] / "recipes") if folder.is_dir()
)  # of an installed sgaudio, or of a working copy
PARTS = "parts"  # folder of what recipes share
SETTINGS = (
    "hydra.output_subdir=null",
    "hydra/job_logging=disabled",
    "hydra/hydra_logging=disabled",
    "hydra.run.dir=.",
    "hydra.sweep.dir=runs",
    "hydra.sweep.subdir=.",
    f"hydra.searchpath=[{HOUSE}]",
)
Values = dict[str, Any]
Result = TypeVar("Result")


def compose(name: str, arguments: Sequence[str] = ()) -> Values:
    """The plain values of one recipe, without a sweep.

    Raises:
        ConfigError: on an unknown recipe, or arguments that are not as they should be.
    """
    found = run_jobs(name, arguments, lambda values: values)
    if len(found) != 1:
        raise ConfigError(f"{name}: one recipe is expected, these arguments make {len(found)}: {' '.join(arguments)}")
    return found[0]


def run_jobs(name: str, arguments: Sequence[str], job: Callable[[Values], Result]) -> list[Result]:
    """Call `job` with the plain values of a recipe, or of each recipe of a sweep, one after the other; what the calls return.

    In a sweep `trainer.output` gets the number of the job as its last folder, and the other jobs run where one fails.

    Args:
        name: "folder/bridge", or a path that ends in .yaml.
        arguments: those of hydra.

    Raises:
        ConfigError: on an unknown recipe, or arguments that are not as they should be.
        SgaudioError: the first one that a job raised.
    """
    try:
        import hydra
        from hydra.core.hydra_config import HydraConfig
        from hydra.errors import HydraException
        from hydra.types import RunMode
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
        from yaml import YAMLError
    except ImportError as error:
        raise ConfigError(f"training needs {error.name}, which is not installed: pip install 'sgaudio[train]'") from error

    path = find_recipe(name)
    top = HOUSE if path.is_relative_to(HOUSE) else path.parent
    results: list[Result] = []
    failures: list[SgaudioError] = []

    def task(composed: Any) -> Any:
        """Failures are kept for later: hydra would write about them."""
        about = HydraConfig.get()
        try:
            values: Any = OmegaConf.to_container(composed, resolve=True)
            if about.mode == RunMode.MULTIRUN and isinstance(values.get("trainer"), dict):
                values["trainer"]["output"] = f"{values['trainer'].get('output')}/{about.job.num}"
            results.append(job(values))
        except OmegaConfBaseException as error:
            failures.append(ConfigError(f"{name}: {reason(error)}"))
        except SgaudioError as error:
            failures.append(error)

    first = next((i for i, argument in enumerate(arguments) if "=" in argument), 0)  # overrides stand together, flags before or behind
    command = [sys.argv[0], *arguments[:first], *SETTINGS, *map(forced, arguments[first:])]
    main = hydra.main(version_base="1.3", config_path=str(top), config_name=path.relative_to(top).with_suffix("").as_posix())
    with patch("sys.argv", command), patch.dict(os.environ, HYDRA_FULL_ERROR="1"):  # errors arrive here, instead of a trace and exit 1
        try:
            main(task)()
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            raise ConfigError(f"{name}: {reason(error)}") from error
    if failures:
        raise failures[0]
    return results


def forced(argument: str) -> str:
    """An override in the form that does not ask whether the recipe names the option: strict building does that, with near names."""
    own = re.match(r"[A-Za-z_][\w.]*=", argument) and not argument.startswith("hydra.")
    return f"++{argument}" if own else argument


def reason(error: Exception) -> str:
    """What hydra says, in one line."""
    override = getattr(error, "override", None)
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("See https")]
    return " ".join([f"{override}:", *lines] if override else lines).replace("++", "")


def recipes() -> dict[str, Path]:
    """All recipes of the house, by name."""
    paths = [path for path in sorted(HOUSE.glob("*/*.yaml")) if path.parent.name != PARTS]
    return {path.relative_to(HOUSE).with_suffix("").as_posix(): path for path in paths}


def find_recipe(name: str) -> Path:
    """The file of a recipe."""
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise ConfigError(f"{name}: no such recipe file")
        return Path(name).resolve()
    known = recipes()
    if name not in known:
        raise ConfigError(f"unknown recipe {name!r}: {nearest(name, known)} (or give the path of a .yaml file)")
    return known[name]
