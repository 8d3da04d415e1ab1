#!/usr/bin/env bash
# EARS-WHAM, 48 kHz: tables, training, the enhanced test set, figures. See README.md.
corpus=ears_wham
models=(sgmse_48k bridge)
rate=48000
source "$(dirname "$0")/../../recipe.sh"
