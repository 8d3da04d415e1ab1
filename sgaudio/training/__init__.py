"""Training: recipes, sound in memory, mixtures made on the device, objectives and the loop. Run by `python -m sgaudio.training`."""

import time

STARTED = time.monotonic()  # of the process, near enough: read before torch is imported; time budgets count from here
