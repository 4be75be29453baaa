#!/usr/bin/env bash
# Starts SeaweedFS on a directory, in the foreground: an S3-compatible server with conditional writes. Keys: it / not a secret.
# Listens on eight ports of loopback: PORT for S3, the others for its own parts.
#
#   scripts/seaweedfs.sh DATA_DIR PORT               and the seven after it; stop it with Ctrl-C or SIGTERM
#   scripts/seaweedfs.sh DATA_DIR PORT PORT2..PORT8
#   scripts/seaweedfs.sh build                       only builds it
#
# Needs Go; builds the server once into the cache, which takes ten minutes and fetches some 2 GB of sources.
set -euo pipefail

usage="usage: scripts/seaweedfs.sh build | DATA_DIR PORT [PORT2..PORT8]"
data=${1:?$usage}
shift
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

port=${1:?$usage}
[ $# -gt 1 ] || set -- $(seq "$port" $((port + 7)))
[ $# -eq 8 ] || { echo "$# ports: it takes one or eight; $usage" >&2; exit 2; }
mkdir -p "$data"
cat > "$data/s3.json" <<'JSON'
{"identities": [{"name": "it", "credentials": [{"accessKey": "it", "secretKey": "not a secret"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
JSON

exec "$cache/weed" server -dir="$data" -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer -s3 -s3.config="$data/s3.json" \
  -s3.port="$1" -s3.port.grpc="$2" -master.port="$3" -master.port.grpc="$4" \
  -volume.port="$5" -volume.port.grpc="$6" -filer.port="$7" -filer.port.grpc="$8" \
  -s3.port.iceberg=0 -s3.port.lance=0 -volume.max=50 -master.volumeSizeLimitMB=256
