#!/usr/bin/env bash
# WSJ0-CHiME3 at -6 to 14 dB: tables, training, the enhanced test set, figures. See README.md.
corpus=wsj0_chime3
models=(storm_predictor storm sgmse)
prepare_options=(--snr -6 14)
source "$(dirname "$0")/../../recipe.sh"
