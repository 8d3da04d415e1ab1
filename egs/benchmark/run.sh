#!/usr/bin/env bash
# Measure `denoise` beside what else one could install, on 48 mixtures. See README.md.
set -euo pipefail
devset=$(realpath "${1:?usage: run.sh DEVSET (README.md says what lies in it)}")
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sgaudio evaluate --mixtures mixtures.tsv --root "$devset" --model denoise --steps 1 2 4 --against rnnoise deepfilternet3 \
    --metrics pesq-wb estoi si-sdr dnsmos wer --device cpu --spectrograms 1 --overwrite -o results

# What windows cost: the mixtures as one long recording, cut apart again
for steps in 1 4; do
    python joined.py mixtures.tsv "$devset" -o "$work/joined_$steps" --steps $steps
done
sgaudio evaluate --mixtures mixtures.tsv --root "$devset" --model denoise --steps 1 4 --device cpu \
    --estimate "$work/joined_1" "$work/joined_4" --overwrite -o joined

# What is done to clean speech
sgaudio evaluate --mixtures clean.tsv --root "$devset" --model denoise --steps 1 4 --against rnnoise deepfilternet3 --device cpu \
    --overwrite -o clean
