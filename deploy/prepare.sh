#!/bin/sh
# Run this once before docker compose, and again whenever root has written to these folders. It makes the
# folders for data and results, and records in .env which user owns them, so that the containers run as
# you. If you are root, they run as user 1000, who is given what is root's in the folders. (With rootless
# Docker, SCALE_EVAL_USER=0:0 is you.)
set -eu
cd "$(dirname "$0")/.."
mkdir -p datasets runs notebooks
owner=$(id -u):$(id -g)
if [ "$(id -u)" = 0 ]; then
    owner=1000:1000
    # Links are given, and not what they lead to.
    find datasets runs notebooks -user 0 -exec chown -h "$owner" {} +
fi
touch .env
lines=$(grep -v '^SCALE_EVAL_USER=' .env || true)
printf '%s\n' ${lines:+"$lines"} "SCALE_EVAL_USER=$owner" >.env
