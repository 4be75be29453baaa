"""A small shop front: what `ddtrace-run` instruments in test_ddtrace.py.

It knows nothing of Tidemill. Its log records carry the trace and span ids that ddtrace injects,
and go to the Datadog logs intake the way a log shipper would send them.
"""

import json
import logging
import os
import sys
import threading
import urllib.request

from flask import Flask, abort, jsonify

LOGS_URL = os.environ["LOGS_URL"]
app = Flask(__name__)
log = logging.getLogger("shop")


class DatadogLogs(logging.Handler):
    """Posts each record to the logs intake with the ids that ddtrace put on it."""

    def emit(self, record):
        entry = {
            "message": record.getMessage(),
            "status": record.levelname,
            "timestamp": int(record.created * 1000),
            "ddsource": "python",
            "service": getattr(record, "dd.service", "") or os.environ.get("DD_SERVICE", ""),
            "ddtags": f"env:{os.environ.get('DD_ENV', '')},version:{os.environ.get('DD_VERSION', '')}",
            "dd.trace_id": getattr(record, "dd.trace_id", ""),
            "dd.span_id": getattr(record, "dd.span_id", ""),
        }
        request = urllib.request.Request(
            LOGS_URL, json.dumps([entry]).encode(), {"Content-Type": "application/json", "DD-API-KEY": "0" * 32}
        )
        urllib.request.urlopen(request, timeout=10).read()


@app.get("/")
def home():
    return "ready"


@app.get("/cart/<customer>")
def cart(customer):
    log.info("cart of %s opened", customer)
    return jsonify(customer=customer, items=price(customer))


@app.get("/missing")
def missing():
    abort(404)


@app.get("/broken")
def broken():
    log.error("payment provider is gone")
    raise RuntimeError("payment provider is gone")


def price(customer):
    """A span of its own inside the request, so that parents can be checked."""
    from ddtrace.trace import tracer

    with tracer.trace("cart.price", resource="price", service="pricing") as span:
        span.set_tag("customer", customer)
        span.set_metric("items", 3)
        return 3


@app.post("/stop")
def stop():
    """Ends the process as a worker ends: atexit hooks run, the tracer flushes."""
    threading.Timer(0.2, lambda: os.kill(os.getpid(), __import__("signal").SIGINT)).start()
    return "stopping"


if __name__ == "__main__":
    log.setLevel(logging.INFO)
    log.addHandler(DatadogLogs())
    app.run(host="127.0.0.1", port=int(sys.argv[1]), debug=False)
