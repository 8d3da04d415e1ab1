"""Whether an enhancement keeps the level of speech. Ours: the level where the reference speaks, so that noise in pauses does not count."""

import numpy as np

FRAME = 0.02  # seconds
SPEAKS = 30.0  # dB below the loudest frame: lower ones are pauses


def level_error(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Level of the estimate against the reference's, in dB: 0 is kept, -6 is half the amplitude. Noise that lies under words counts."""
    size = max(1, round(FRAME * sample_rate))
    padded = [np.pad(sound.astype(np.float64), (0, -len(sound) % size)) for sound in (estimate, reference)]
    powers = [np.square(sound).reshape(-1, size).mean(1) for sound in padded]
    speaks = powers[1] > powers[1].max() * 10 ** (-SPEAKS / 10)
    ratio = powers[0][speaks].mean() / powers[1][speaks].mean()
    return {"level": float(10 * np.log10(max(ratio, np.finfo(np.float64).tiny)))}
