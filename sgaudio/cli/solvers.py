"""`sgaudio solvers`: how a model can be sampled."""

from inspect import signature


def solvers() -> None:
    """List the solvers: order, calls of the network in a step, and whether they draw fresh noise."""
    from rich.console import Console
    from rich.table import Table

    from sgaudio.processes import OUVE
    from sgaudio.solvers import SOLVERS, linear, record

    table = Table("name", "order", "evaluations per step", "stochastic", "what it is", box=None, pad_edge=False)
    process = OUVE()
    for name, solver in SOLVERS.items():
        short, long = (record(solver, process, linear(process, steps)) for steps in (8, 16))
        evaluations = (long.evaluations - short.evaluations) / 8
        options = [name for name in ("eta", "noise_level") if name in signature(solver.function).parameters]
        stochastic = "yes" if long.draws else f"with {options[0]}" if options else "no"
        table.add_row(name, str(solver.order), f"{evaluations:g}", stochastic, solver.summary)
    Console(highlight=False, markup=False).print(table)
