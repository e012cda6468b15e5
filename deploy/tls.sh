#!/bin/sh
# TLS between the parts of a cluster: tls.sh DIR makes a certificate that they all show and trust,
# and a configuration of Dask that speaks TLS and nothing else. Every part (scheduler, workers,
# whoever runs scale-eval) then starts with DASK_CONFIG=DIR in its environment, and the address of
# the scheduler begins with tls://.
# What is there is kept. Whoever reads the key can run code on the cluster: it is its owner's alone.
# The certificate ends after a year: remove the folder, and again.
set -eu
umask 077
mkdir -p "$1"
place=$(cd "$1" && pwd)
if [ ! -s "$place/certificate.pem" ]; then
    openssl req -x509 -newkey rsa:3072 -sha256 -nodes -days 365 -subj /CN=scale-eval \
        -keyout "$place/key.pem" -out "$place/certificate.part" 2>/dev/null
    mv "$place/certificate.part" "$place/certificate.pem"
fi
pair="{cert: '$place/certificate.pem', key: '$place/key.pem'}"
cat >"$place/distributed.yaml" <<END
distributed:
  comm:
    default-scheme: tls
    require-encryption: true
    tls:
      ca-file: '$place/certificate.pem'
      scheduler: $pair
      worker: $pair
      client: $pair
END
