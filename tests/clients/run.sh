#!/usr/bin/env bash
# Runs the client tests against the built binary: $TIDEMILL_BIN, else cargo's target directory.
# Arguments go to pytest: `run.sh -k kill -x`. The last line is pytest's summary.
#   TIDEMILL_DATA    real telemetry; default ../shared/data beside the checkout, skipped where missing
#   TIDEMILL_KILLS   how many times test_kill.py kills the engine; default 5
#   TIDEMILL_RATE    records a second that test_kill.py (default 1000), test_audit.py, test_s3_faults.py, test_workers.py
#                    and test_broker.py (300) write
#   TIDEMILL_ROUNDS  how many times test_workers.py disturbs a worker; default 3
#   TIDEMILL_BROKER_ENDS  how many times test_broker.py ends its broker; default 2
#   TIDEMILL_SEED    seed of its random moments; printed by a failed run
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export TIDEMILL_CLIENTS=${TIDEMILL_CLIENTS:-${XDG_CACHE_HOME:-$HOME/.cache}/tidemill/clients}
"$here/install.sh"

export TIDEMILL_NODE_MODULES=${TIDEMILL_NODE_MODULES:-$TIDEMILL_CLIENTS/node/node_modules}
export PYTHONDONTWRITEBYTECODE=1
# ddtrace registers a pytest plugin; here it runs as a program of its own, and nothing else is wanted.
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
# Proxies are for the outside; everything here is on loopback.
export no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost
unset TIDEMILL_DATA_DIR TIDEMILL_CONFIG TIDEMILL_KAFKA_BROKERS TIDEMILL_URL TIDEMILL_LOG
unset DD_AGENT_HOST DD_TRACE_AGENT_URL DD_TRACE_AGENT_PORT DD_SERVICE DD_ENV DD_VERSION DD_TAGS ${!OTEL_@}
cd "$here"
exec "$TIDEMILL_CLIENTS/venv/bin/python" -m pytest -p no:cacheprovider --color=auto -ra "$@"
