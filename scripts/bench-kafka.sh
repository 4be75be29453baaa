#!/usr/bin/env bash
# Runs a command against a real Apache Kafka in a temporary directory, then stops it.
#
#   scripts/bench-kafka.sh cargo bench --bench kafka
#
# The command finds the broker's address in TIDEMILL_KAFKA.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
port=${TIDEMILL_BENCH_KAFKA_PORT:-19092}
data=$(mktemp -d)
"$here/real-kafka.sh" "$data" "$port" > "$data/ready" 2> "$data/log" &
broker=$!
trap 'kill "$broker" 2>/dev/null; wait "$broker" 2>/dev/null || true; rm -rf "$data"' EXIT INT TERM
until grep -q ready "$data/ready"; do
  kill -0 "$broker" 2>/dev/null || { cat "$data/log" >&2; exit 1; }
  sleep 0.2
done
TIDEMILL_KAFKA=127.0.0.1:$port "$@"
