#!/bin/sh
# TLS between the parts of a cluster. tls.sh DIR makes a certificate that all parts show and trust, and
# a Dask configuration that allows TLS only. Start every part (scheduler, workers, scale-eval) with
# DASK_CONFIG=DIR in its environment, and use a scheduler address that begins with tls://.
# An existing certificate is kept. Anyone who reads the key can run code on the cluster, so only its
# owner may read it. The certificate expires after a year: remove the folder and run this again.
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
