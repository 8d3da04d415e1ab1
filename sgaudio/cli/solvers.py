"""`sgaudio solvers`: how a process can be walked back."""


def solvers() -> None:
    """List the solvers: order, calls of the network in a step, whether they draw noise, and which processes they walk back."""
    from rich.console import Console
    from rich.table import Column, Table

    from sgaudio.processes import PROCESSES
    from sgaudio.solvers import SOLVERS

    name, processes, what = Column("name", no_wrap=True), Column("processes", overflow="fold"), Column("what it is", overflow="fold")
    table = Table(name, "order", "calls per step", "draws noise", processes, what, box=None, pad_edge=False)
    for key, solver in SOLVERS.items():
        table.add_row(key, str(solver.order or "-"), *_traits(key), solver.summary.partition(":")[0].rstrip("."))
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print(f"\nall: {', '.join(PROCESSES)}")


def _traits(name: str) -> tuple[str, str, str]:
    """Calls per step, whether noise is drawn, and the processes: as recorded."""
    from inspect import signature

    from sgaudio.errors import ConfigError
    from sgaudio.processes import PROCESSES
    from sgaudio.solvers import SOLVERS, linear, record

    solver, plans = SOLVERS[name], {}
    for process_name, cls in PROCESSES.items():
        process = cls()
        try:
            plans[process_name] = [record(solver, process, linear(process, steps)) for steps in (10, 30)]
        except ConfigError:
            continue
    short, long = next(iter(plans.values()))
    options = [option for option in ("eta", "noise_level", "churn") if option in signature(solver.function).parameters]
    stochastic = "yes" if long.draws else f"with {options[0]}" if options else "no"
    processes = "all" if len(plans) == len(PROCESSES) else ", ".join(plans)
    return f"{(long.evaluations - short.evaluations) / 20:g}", stochastic, processes
