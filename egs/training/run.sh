#!/usr/bin/env bash
# Train the small models of recipes/packs, and see what they do with more calls of their networks.
#
#     egs/training/run.sh CORPUS RUNS [MINUTES a model, 8] [DEVICE, cuda]
#
# Each model is trained once: where RUNS holds it already, the next one is.
set -euo pipefail
[ $# -ge 2 ] || { sed -n 2,7p "$0" >&2; exit 2; }
here=$(dirname "$0") corpus=$1 runs=$2 minutes=${3:-8} device=${4:-cuda}

train() {
    local model=$1
    shift
    [ -e "$runs/$model/last.safetensors" ] && return
    sgaudio train "packs/$model" "data.root=$corpus" "trainer.output=$runs/$model" "trainer.minutes=$minutes" "trainer.device=$device" "$@"
}

train sgmse
train bridge
train flowse
train storm_predictor
train storm "trainer.init_from=$runs/storm_predictor/last.safetensors"
train dereverberate_predictor
train dereverberate_bridge
train dereverberate_sgmse

models=("$runs"/{sgmse,bridge,flowse,storm}/last.safetensors)
python "$here/solvers.py" "${models[@]}" --mixtures "$corpus/devset/mixtures.tsv" -o "$runs/solvers" --words --device "$device"
models=("$runs"/dereverberate_{predictor,bridge,sgmse}/last.safetensors)
python "$here/dereverberation.py" "${models[@]}" --rooms "$corpus/rir/rir_dev.tsv" --speech "$corpus/devset/speech" -o "$runs/dereverberation" --device "$device"
