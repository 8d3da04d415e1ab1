#!/usr/bin/env bash
# WSJ0-REVERB: rooms and tables, training, the enhanced test set, figures. See README.md.
corpus=wsj0_reverb
models=(sgmse storm_predictor storm)
source "$(dirname "$0")/../../recipe.sh"
