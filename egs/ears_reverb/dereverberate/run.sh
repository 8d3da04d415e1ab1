#!/usr/bin/env bash
# EARS-Reverb, 48 kHz: rooms and tables, training, the enhanced test set, figures. See README.md.
corpus=ears_reverb
models=(sgmse_48k bridge)
rate=48000
source "$(dirname "$0")/../../recipe.sh"
