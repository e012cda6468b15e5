#!/bin/sh
# End everything that docker compose started here, in good order: jobs (also those of `docker compose run`,
# which `down` alone leaves), the notebook, workers and scheduler. What is done is in runs/, and the same
# commands go on from there. Words are passed on: `deploy/stop.sh --volumes` removes the TLS certificate.
set -eu
cd "$(dirname "$0")/.."
exec docker compose --profile notebook down --remove-orphans "$@"
