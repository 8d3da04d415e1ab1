#!/usr/bin/env bash
# WSJ0-CHiME3 at 0 to 20 dB: tables, training, the enhanced test set, figures. See README.md.
corpus=wsj0_chime3
models=(sgmse)
source "$(dirname "$0")/../../recipe.sh"
