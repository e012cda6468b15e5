#!/bin/sh
# Once before docker compose: the folders for data and results, and in .env whose they are to be, so
# that the containers run as you. Where you are root they do not, and the folders are given to user 1000.
# (Docker without root, on a machine of yours: SCALE_EVAL_USER=0:0 is you.)
set -eu
cd "$(dirname "$0")/.."
mkdir -p datasets runs notebooks
owner=$(id -u):$(id -g)
if [ "$(id -u)" = 0 ]; then
    owner=1000:1000
    chown "$owner" datasets runs
fi
touch .env
lines=$(grep -v '^SCALE_EVAL_USER=' .env || true)
printf '%s\n' ${lines:+"$lines"} "SCALE_EVAL_USER=$owner" >.env
