"""Jobs: many files, worked on one after the other; nothing is lost, and a failed one never stops the rest."""

from sgaudio.jobs.outcome import Outcome
from sgaudio.jobs.plan import Task, plan
from sgaudio.jobs.run import Settings, run, total_seconds

__all__ = ["Outcome", "Settings", "Task", "plan", "run", "total_seconds"]
