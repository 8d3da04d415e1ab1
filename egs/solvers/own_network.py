"""Any network, any process, any solver: ten lines."""

import torch

from sgaudio.processes import OUVE
from sgaudio.solvers import SOLVERS, linear, record, sample

process = OUVE()  # of SGMSE+
network = torch.nn.Conv2d(4, 2, 3, padding=1)  # stands for yours: the parts of state and noisy sound in, those of the clean one out
noisy = torch.randn(1, 1, 256, 100, dtype=torch.complex64)  # a spectrogram


def denoise(state: torch.Tensor, time: float) -> torch.Tensor:
    parts = torch.cat([state.real, state.imag, noisy.real, noisy.imag], dim=1)
    real, imaginary = network(parts).chunk(2, dim=1)
    return torch.complex(real, imaginary)


with torch.inference_mode():
    plan = record(SOLVERS["adams"], process, linear(process, steps=5))
    start = noisy + process.at(1.0).sigma * torch.randn_like(noisy)
    clean = sample(plan, denoise, start, noisy)
print(f"{plan.evaluations} evaluations, {plan.buffers} buffers: {tuple(clean.shape)}")
