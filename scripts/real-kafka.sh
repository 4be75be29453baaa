#!/usr/bin/env bash
# Starts a real Apache Kafka (KRaft, one node, loopback) for tests and benches, in the foreground.
#
#   scripts/real-kafka.sh DATA_DIR [PORT]      stop it with Ctrl-C or SIGTERM
#
# Needs Java 17 and Maven; fetches Kafka's jars once into the cache. Prints "ready" on stdout when
# the port answers.
set -euo pipefail

data=${1:?usage: scripts/real-kafka.sh DATA_DIR [PORT]}
port=${2:-19092}
controller=$((port + 1))
here=$(cd "$(dirname "$0")" && pwd)
jars=$("$here/jars.sh" kafka)

mkdir -p "$data"
config=$data/server.properties
cat > "$config" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
log.dirs=$data/log
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
PROPERTIES

java=(java -Xmx1g -Xms256m -cp "$jars/*")
if [ ! -e "$data/log/meta.properties" ]; then
  "${java[@]}" kafka.tools.StorageTool format -t tidemillTestClusterAA -c "$config" >&2
fi
"${java[@]}" kafka.Kafka "$config" >&2 &
broker=$!
trap 'kill "$broker" 2>/dev/null; wait "$broker" 2>/dev/null || true' EXIT INT TERM
for _ in $(seq 1 300); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo ready
    wait "$broker"
    exit $?
  fi
  kill -0 "$broker" 2>/dev/null || { echo "Kafka ended before it answered on port $port" >&2; exit 1; }
  sleep 0.2
done
echo "Kafka did not answer on port $port within 60 s" >&2
exit 1
