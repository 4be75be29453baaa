#!/usr/bin/env bash
# Starts S3Proxy on a directory, in the foreground: an S3-compatible server that honours If-None-Match, but looks and
# writes in two steps. Keys: it / not a secret. Each directory below DATA_DIR is a bucket.
#
#   scripts/s3proxy.sh DATA_DIR PORT      stop it with Ctrl-C or SIGTERM
#
# Needs Java 17 and Maven; fetches its jars (28 MB) once into the cache.
set -euo pipefail

data=${1:?usage: scripts/s3proxy.sh DATA_DIR PORT}
port=${2:?usage: scripts/s3proxy.sh DATA_DIR PORT}
here=$(cd "$(dirname "$0")" && pwd)
jars=$("$here/jars.sh" s3proxy)

mkdir -p "$data/buckets"
cat > "$data/s3proxy.conf" <<PROPERTIES
s3proxy.endpoint=http://127.0.0.1:$port
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity=it
s3proxy.credential=not a secret
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir=$data/buckets
PROPERTIES

exec java -Xmx256m "-Dlogback.configurationFile=$here/s3proxy/logback.xml" -cp "$jars/*" \
  org.gaul.s3proxy.Main --properties "$data/s3proxy.conf"
