#!/usr/bin/env bash
# Starts SeaweedFS on a directory, in the foreground: an S3-compatible server with conditional writes. Keys: it / not a secret.
# Takes PORT and the seven after it, on loopback.
#
#   scripts/seaweedfs.sh DATA_DIR PORT    stop it with Ctrl-C or SIGTERM
#   scripts/seaweedfs.sh build            only builds it
#
# Needs Go; builds the server once into the cache, which takes ten minutes and fetches some 2 GB of sources.
set -euo pipefail

usage="usage: scripts/seaweedfs.sh build | DATA_DIR PORT"
data=${1:?$usage}
version=v0.0.0-20261109003541-7506e5f91cd6
cache=${TIDEMILL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tidemill}/seaweedfs

if [ ! -x "$cache/weed" ]; then
  command -v go >/dev/null || { echo "no go on the path: it builds SeaweedFS" >&2; exit 1; }
  echo "building SeaweedFS into $cache" >&2
  mkdir -p "$cache"
  (
    # Not `go install`: it refuses modules that replace others.
    cd "$cache"
    [ -e go.mod ] || go mod init seaweedfs
    go get "github.com/seaweedfs/seaweedfs/weed@$version"
    CGO_ENABLED=0 go build -o weed.new github.com/seaweedfs/seaweedfs/weed
    mv weed.new weed
  ) >&2
fi

[ "$data" != build ] || exit 0

port=${2:?$usage}
mkdir -p "$data"
cat > "$data/s3.json" <<'JSON'
{"identities": [{"name": "it", "credentials": [{"accessKey": "it", "secretKey": "not a secret"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
JSON

exec "$cache/weed" server -dir="$data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer -s3 -s3.config="$data/s3.json" \
  -s3.port="$port" -s3.port.grpc=$((port + 1)) -master.port=$((port + 2)) -master.port.grpc=$((port + 3)) \
  -volume.port=$((port + 4)) -volume.port.grpc=$((port + 5)) -filer.port=$((port + 6)) -filer.port.grpc=$((port + 7)) \
  -s3.port.iceberg=0 -s3.port.lance=0 -volume.max=50 -master.volumeSizeLimitMB=256
