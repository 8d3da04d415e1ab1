#!/usr/bin/env bash
# Ten lines with a network of one's own, the errors of all solvers, and other libraries beside them. See README.md.
set -euo pipefail
cd "$(dirname "$0")"

python own_network.py
python errors.py -o results

# Other libraries, in an environment of their own
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q ../.. diffusers torchdiffeq azula scipy
"$work/venv/bin/python" peers.py -o results/peers.csv
"$work/venv/bin/python" overhead.py -o results/overhead.json
