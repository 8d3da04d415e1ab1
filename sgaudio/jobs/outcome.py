"""What became of one input: a line of the report."""

import json
from dataclasses import asdict, dataclass, field
from typing import Literal


@dataclass
class Outcome:
    """Of one input.

    Args:
        reason: why it was skipped, or failed.
        seconds: of sound.
        times_real_time: seconds of sound in a second of work.
    """

    input: str
    output: str = ""
    status: Literal["done", "skipped", "failed"] = "done"
    reason: str = ""
    seconds: float = 0.0
    sample_rate: int | None = None
    channels: int | None = None
    model: str = ""
    solver: str = ""
    steps: int | None = None
    seed: int | None = None
    warnings: list[str] = field(default_factory=list)
    times_real_time: float | None = None

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))
