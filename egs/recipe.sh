# From a corpus to figures, in four stages of which any can be the first: what the run.sh of all recipes share.
# Such a run.sh, in egs/<corpus>/<task>:
#
#     corpus=wsj0_chime3               # folder of recipes/
#     models=(storm_predictor storm)   # its recipes, in the order of training
#     prepare_options=(--snr -6 14)    # for its prepare.py, if any are wanted
#     rate=48000                       # in Hz, of what is measured; 16000 if not given
#     source "$(dirname "$0")/../../recipe.sh"
#
# and how it is called:
#
#     ./run.sh ROOT                    # where the corpus lies
#     ./run.sh ROOT train              # from this stage on: prepare, train, enhance, evaluate
#     MODELS=sgmse TRAIN="trainer.devices=4 trainer.accumulate=1" PRESET=paper ./run.sh ROOT train
#
# All that is made lies in runs/, beside run.sh: tables/, a folder for each model, test/, enhanced/, results/.
set -euo pipefail

stages=(prepare train enhance evaluate)
first=${2:-prepare}
if [[ $# -lt 1 || $# -gt 2 || " ${stages[*]} " != *" $first "* ]]; then
    echo "usage: run.sh ROOT [prepare|train|enhance|evaluate]" >&2
    exit 2
fi
root=$(realpath "$1")
cd "$(dirname "$0")"
[[ -z ${MODELS:-} ]] || read -ra models <<< "$MODELS"
read -ra train_options <<< "${TRAIN:-}"

prepare() { # the corpus as tables
    python "../../../recipes/$corpus/prepare.py" "$root" -o runs/tables "${prepare_options[@]}"
}

train() { # goes on with a run that was interrupted
    for model in "${models[@]}"; do
        sgaudio train "$corpus/$model" data.root=runs/tables trainer.output="runs/$model" trainer.resume=true "${train_options[@]}"
    done
}

enhance() { # the test set, as files; by the way of sampling that PRESET names
    rm -rf runs/test
    python ../../sounds.py runs/tables/test.tsv -o runs/test --rate "${rate:-16000}"
    for model in "${models[@]}"; do
        enhanced=runs/enhanced/$model${PRESET:+-$PRESET}
        rm -rf "$enhanced"
        sgaudio enhance runs/test/noisy -o "$enhanced" --model "runs/$model/best.safetensors" ${PRESET:+--preset "$PRESET"}
    done
}

evaluate() { # all that was enhanced
    sgaudio evaluate --clean runs/test/clean --noisy runs/test/noisy --estimate runs/enhanced/* --overwrite -o runs/results
}

for stage in "${stages[@]}"; do
    [[ $stage == "$first" ]] && begun=yes
    [[ -z ${begun:-} ]] && continue
    echo "run.sh: $corpus: $stage"
    "$stage"
done
