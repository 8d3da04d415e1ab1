"""Training: recipes, sound on the device, objectives and the loop. Run by `sgaudio train`."""

import time

STARTED = time.monotonic()  # of the process, near enough: read before torch is imported; time budgets count from here
