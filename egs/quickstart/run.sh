#!/usr/bin/env bash
# Make the picture; with SPEED=1 and LONG=1 also the figures of speed and memory. See README.md.
set -euo pipefail
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sgaudio enhance noisy.wav -o "$work/enhanced.wav" --plot before_after.png --overwrite
python levels.py noisy.wav "$work/enhanced.wav"

if [[ -n ${SPEED:-} ]]; then
    python long_recording.py "$work/short.wav" --minutes 2 --rate 16000 --channels 1
    for steps in 1 2 4; do
        sgaudio enhance "$work/short.wav" -o "$work/short_$steps.wav" --steps $steps
    done
fi

if [[ -n ${LONG:-} ]]; then
    python long_recording.py "$work/long.wav"
    /usr/bin/time -v sgaudio enhance "$work/long.wav" -o "$work/long_enhanced.wav" 2>&1 | grep -E 'enhance:|Maximum resident'
fi
