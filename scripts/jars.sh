#!/usr/bin/env bash
# Fetches the jars that scripts/NAME/pom.xml names, once, into the cache; prints their directory.
#
#   scripts/jars.sh NAME
#
# Needs Java 17 and Maven.
set -euo pipefail

name=${1:?usage: scripts/jars.sh NAME}
here=$(cd "$(dirname "$0")" && pwd)
cache=${TIDEMILL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tidemill}/$name

if [ ! -e "$cache/.complete" ]; then
  echo "fetching the jars of $name into $cache" >&2
  mvn -q -B -f "$here/$name/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$cache/lib" >&2
  touch "$cache/.complete"
fi
echo "$cache/lib"
