"""Which metrics a run can have."""

from collections.abc import Collection, Sequence

from sgaudio.errors import ConfigError
from sgaudio.metrics.metric import NEEDED, Metric, Need
from sgaudio.registry import Registry

DEFAULT = ("pesq-wb", "estoi", "si-sdr", "dnsmos")


def selected(metrics: Registry[Metric], names: Sequence[str], given: Collection[Need]) -> tuple[list[str], list[str]]:
    """Names of the metrics to compute, and a line for each that is left out.

    Args:
        names: those that are asked for, "all", or none for the usual ones. What is not named is left out where it cannot be had.
        given: what there is besides the estimates.

    Raises:
        ConfigError: where one that is asked for by its name cannot be had, or none can.
    """
    named = [name for name in names if name != "all"]
    wanted = list(dict.fromkeys([*named, *(metrics if "all" in names else () if named else DEFAULT)]))
    chosen, left_out = [], []
    for name in wanted:
        try:
            for need in metrics[name].needs:
                if need not in given:
                    raise ConfigError(f"{metrics[name].title}: needs {NEEDED[need]}")
            metrics[name].check_installed()
        except ConfigError as error:
            if name in named:
                raise
            left_out.append(f"{error}: left out")
        else:
            chosen.append(name)
    if not chosen:
        raise ConfigError(f"no metric can be computed: {'; '.join(left_out)}")
    return chosen, left_out
