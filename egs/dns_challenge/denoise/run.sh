#!/usr/bin/env bash
# The DNS challenge: tables, training, the enhanced test set without rooms, figures. See README.md.
corpus=dns_challenge
models=(bridge storm)
source "$(dirname "$0")/../../recipe.sh"
