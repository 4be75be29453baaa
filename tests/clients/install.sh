#!/usr/bin/env bash
# Installs the real clients that the tests run: Python packages into a virtual environment, dd-trace
# for Node.js, psql. Everything is pinned and lands in one cache directory outside the checkout:
#   TIDEMILL_CLIENTS, default ${XDG_CACHE_HOME:-$HOME/.cache}/tidemill/clients
# Quick when nothing changed. A missing Node.js or psql is no error here: their tests say that they
# are skipped.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
place=${TIDEMILL_CLIENTS:-${XDG_CACHE_HOME:-$HOME/.cache}/tidemill/clients}
python=${PYTHON:-python3}

say() { printf 'clients: %s\n' "$*" >&2; }

# One installation at a time: two test runs may share the cache.
mkdir -p "$place"
if command -v flock >/dev/null; then
  exec 9>"$place/.lock"
  flock 9
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "$("$python" --version 2>&1) is too old: install Python 3.11 or newer, or set PYTHON"
  exit 1
}

# What an installation depends on; written last, so that a broken one is made again.
stamp() { # stamp FILE... : hash of the named files and the given words
  cat "$@" | sha256sum | cut -d' ' -f1
}

python_stamp="$("$python" --version) $(stamp "$here/requirements.txt")"
if [[ "$(cat "$place/venv/.stamp" 2>/dev/null)" != "$python_stamp" ]]; then
  say "installing Python packages into $place/venv"
  rm -rf "$place/venv"
  "$python" -m venv "$place/venv" || {
    say "cannot make a virtual environment: on Debian and Ubuntu, apt-get install python3-venv"
    exit 1
  }
  "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
    --requirement "$here/requirements.txt"
  printf '%s' "$python_stamp" >"$place/venv/.stamp"
fi

if command -v npm >/dev/null; then
  node_stamp="$(node --version) $(stamp "$here/node/package.json" "$here/node/package-lock.json")"
  if [[ "$(cat "$place/node/.stamp" 2>/dev/null)" != "$node_stamp" ]]; then
    say "installing dd-trace into $place/node"
    rm -rf "$place/node"
    mkdir -p "$place/node"
    cp "$here/node/package.json" "$here/node/package-lock.json" "$place/node/"
    (cd "$place/node" && npm ci --silent --no-audit --no-fund)
    printf '%s' "$node_stamp" >"$place/node/.stamp"
  fi
else
  say "SKIPPED dd-trace: no npm on the path (Node.js 18 or newer)"
fi

if ! command -v psql >/dev/null; then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    say "installing postgresql-client"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q postgresql-client >/dev/null 2>&1 ||
      { apt-get update -q >/dev/null 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q postgresql-client >/dev/null 2>&1; } ||
      say "SKIPPED psql: postgresql-client could not be installed"
  else
    say "SKIPPED psql: not on the path, and only root can install it (apt-get install postgresql-client)"
  fi
fi
