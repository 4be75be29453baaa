#!/usr/bin/env bash
# Runs a command with TIDEMILL_KAFKA naming a real Apache Kafka that lives as long as the command.
#
#   scripts/with-real-kafka.sh COMMAND [ARGUMENT...]
#
# A TIDEMILL_KAFKA that is set already is used as it is. Without Java or Maven, or when Kafka does not
# start, it says so and runs the command without: its tests against a real Kafka then skip themselves.
# With TIDEMILL_REQUIRE_KAFKA=1 that is a failure.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || { echo "usage: scripts/with-real-kafka.sh COMMAND [ARGUMENT...]" >&2; exit 2; }

without() {
  if [ "${TIDEMILL_REQUIRE_KAFKA:-}" = 1 ]; then
    echo "no real Apache Kafka, and TIDEMILL_REQUIRE_KAFKA=1: $1" >&2
    exit 1
  fi
  echo "SKIPPED everything against a real Apache Kafka: $1" >&2
  "${@:2}"
  exit
}

[ -z "${TIDEMILL_KAFKA:-}" ] || exec "$@"
for program in java mvn; do
  command -v "$program" >/dev/null || without "no $program on the path (Java 17 and Maven)" "$@"
done

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# The controller takes the port after the broker's.
port=$((20000 + RANDOM % 10000))
while listens "$port" || listens $((port + 1)); do port=$((20000 + RANDOM % 10000)); done

data=$(mktemp -d)
: >"$data/out"
"$here/real-kafka.sh" "$data/kafka" "$port" >"$data/out" 2>"$data/err" &
kafka=$!
stop() {
  kill "$kafka" 2>/dev/null || true
  wait "$kafka" 2>/dev/null || true
  rm -rf "$data"
}
trap stop EXIT
until grep -q '^ready' "$data/out"; do
  if ! kill -0 "$kafka" 2>/dev/null; then
    tail -5 "$data/err" >&2
    without "it did not start" "$@"
  fi
  sleep 0.2
done
# Not `exec`: the trap has to run when the command is done.
TIDEMILL_KAFKA=127.0.0.1:$port "$@"
