#!/usr/bin/env bash
# VoiceBank-DEMAND: tables, training, the enhanced test set, figures. See README.md.
corpus=voicebank_demand
models=(sgmse sgmse_bridge storm_predictor storm flowse)
source "$(dirname "$0")/../../recipe.sh"
