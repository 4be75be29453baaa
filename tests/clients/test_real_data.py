"""Real telemetry nobody here wrote goes through the intake; the truth is counted from the files."""

import collections
import csv
import json
import re
import zlib

import ledger
import pytest
import wire
from engine import request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

csv.field_size_limit(1 << 24)
PROTO = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
#: High half of the trace ids this file gives to the Datadog payloads; the version is added to it.
RENUMBERED = 0x7D00000000000000
LINE = re.compile(r"TraceID: ([0-9a-f]{32}) SpanID: ([0-9a-f]{16}) ")


def gzip(data):
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def send_otlp(engine, path, data):
    status, _, body = request("POST", engine.url("otlp_http", path), gzip(data), PROTO)
    assert status == 200 and body == b"", (status, body[:300])


def train_ticket(data, kind):
    for file in sorted((data / "trainticket").glob(f"*_{kind}.csv")):
        with open(file, newline="") as lines:
            yield from csv.DictReader(lines)


def test_train_ticket_logs_join_their_spans(fresh_engine, data):
    engine = fresh_engine
    logs, spans = list(train_ticket(data, "log")), list(train_ticket(data, "trace"))
    entries = [
        {"message": row["Log"], "ddsource": "trainticket", "service": service(row["PodName"]), "hostname": row["Node"], "ddtags": "env:tt"} for row in logs
    ]
    for start in range(0, len(entries), 500):
        engine.send_logs(entries[start : start + 500])
    for start in range(0, len(spans), 1000):
        send_otlp(engine, "/v1/traces", train_ticket_spans(spans[start : start + 1000]).SerializeToString())

    engine.wait_count(len(logs), "logs WHERE env = 'tt'")
    engine.wait_count(len(spans), "spans WHERE env = 'tt'")
    truth = [LINE.search(json.loads(row["Log"])["log"]).groups() for row in logs]
    in_tables = engine.sql("SELECT trace_id, span_id, count(*) AS n FROM logs WHERE env = 'tt' GROUP BY 1, 2")
    assert {(row["trace_id"], row["span_id"]): row["n"] for row in in_tables} == collections.Counter(truth)

    known = {(row["TraceID"], row["SpanID"]) for row in spans}
    joined = engine.value(
        "SELECT count(*) FROM logs l JOIN spans s ON l.trace_id = s.trace_id AND l.span_id = s.span_id WHERE l.env = 'tt' AND s.env = 'tt'"
    )
    assert joined == sum(ids in known for ids in truth) > 0

    levels = collections.Counter(re.match(r"\S+ (\w+)", json.loads(row["Log"])["log"])[1].lower() for row in logs)
    statuses = {row["status"]: row["n"] for row in engine.sql("SELECT status, count(*) AS n FROM logs WHERE env = 'tt' GROUP BY 1")}
    assert statuses == {"info": levels["info"], "warn": levels["warn"], "error": levels["error"]}
    first = min(int(row["TimeUnixNano"]) for row in logs)
    assert abs(engine.value("SELECT min(timestamp_ns) FROM logs WHERE env = 'tt'") - first) < 1_000_000, "the runtime's UTC time"


def service(pod):
    """`ts-travel-service-64469b5b48-25zj6` -> `ts-travel-service`."""
    return pod.rsplit("-", 2)[0]


def train_ticket_spans(rows):
    request = ExportTraceServiceRequest()
    scopes = {}
    for row in rows:
        pod = row["PodName"]
        if pod not in scopes:
            resource = request.resource_spans.add()
            for key, value in (("service.name", service(pod)), ("k8s.pod.name", pod), ("deployment.environment", "tt")):
                attribute = resource.resource.attributes.add()
                attribute.key, attribute.value.string_value = key, value
            scopes[pod] = resource.scope_spans.add()
        span = scopes[pod].spans.add()
        span.trace_id, span.span_id = bytes.fromhex(row["TraceID"]), bytes.fromhex(row["SpanID"])
        if row["ParentID"] != "root":
            span.parent_span_id = bytes.fromhex(row["ParentID"])
        span.name = row["OperationName"]
        span.start_time_unix_nano, span.end_time_unix_nano = int(row["StartTimeUnixNano"]), int(row["EndTimeUnixNano"])
    return request


#: The same line in Python's words; the one line of the file that is cut off does not match.
COMBINED = re.compile(r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\w+) (\S+) HTTP/(\S+)" (\d+) (?:(\d+)|-) "(.*?)" "(.*?)"$')


def test_apache_access_logs_parse(fresh_engine, data):
    engine = fresh_engine
    lines = (data / "apache" / "apache_logs").read_text().splitlines()
    headers = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    for start in range(0, len(lines), 500):
        body = gzip("\n".join(lines[start : start + 500]).encode())
        url = engine.url("datadog", "/api/v2/logs?ddsource=apache&service=web&hostname=web-1&ddtags=env:apache,team:web")
        assert request("POST", url, body, headers)[0] == 202
    engine.wait_count(len(lines), "logs WHERE service = 'web'")
    parsed = [match for match in map(COMBINED.match, lines) if match]
    assert len(parsed) >= len(lines) - 1
    rows = engine.sql(
        "SELECT attributes['http.status_code'] AS code, attributes['http.method'] AS method, count(*) AS n, "
        "sum(CAST(attributes['network.bytes_written'] AS BIGINT)) AS bytes FROM logs "
        "WHERE service = 'web' AND attributes['http.status_code'] IS NOT NULL GROUP BY 1, 2"
    )
    truth = collections.defaultdict(lambda: [0, 0])
    for match in parsed:
        entry = truth[match[8], match[5]]
        entry[0] += 1
        entry[1] += int(match[9] or 0)
    assert {(row["code"], row["method"]): [row["n"], row["bytes"] or 0] for row in rows} == dict(truth)
    (row,) = engine.sql("SELECT min(env) AS env, min(host) AS host, min(timestamp) AS first FROM logs WHERE service = 'web' AND attributes['http.method'] IS NOT NULL")
    assert (row["env"], row["host"]) == ("apache", "web-1") and row["first"].startswith("2015-05-17T10:05:00")


def test_otlp_trace_capture(fresh_engine, data):
    engine = fresh_engine
    (part,) = wire.framed(data / "otlp" / "hipstershop-oteltraces.zst")
    capture = TracesData.FromString(part)
    before = engine.value("SELECT count(*) FROM spans")
    batch, counts, ids = ExportTraceServiceRequest(), collections.Counter(), set()
    for number, resource in enumerate(capture.resource_spans):
        name = next((each.value.string_value for each in resource.resource.attributes if each.key == "service.name"), "")
        for scope in resource.scope_spans:
            counts[name] += len(scope.spans)
            ids.update((span.trace_id.hex(), span.span_id.hex()) for span in scope.spans)
        batch.resource_spans.append(resource)
        if number % 200 == 199 or number + 1 == len(capture.resource_spans):
            send_otlp(engine, "/v1/traces", batch.SerializeToString())
            batch.Clear()
    total = sum(counts.values())
    engine.wait_count(before + total, "spans", deadline=240)
    for name, count in counts.items():
        if name:
            assert engine.value(f"SELECT count(*) FROM spans WHERE service = '{name}'") == count, name
    distinct = engine.value(
        f"SELECT count(*) FROM (SELECT DISTINCT trace_id, span_id FROM spans WHERE env <> 'tt' AND trace_id NOT LIKE '{RENUMBERED >> 8:014x}%')"
    )
    assert distinct == len(ids)


def test_otlp_metric_capture(fresh_engine, data):
    engine = fresh_engine
    counts = collections.Counter()
    for number, part in enumerate(wire.framed(data / "otlp" / "hostandcollector-otelmetrics.zst")):
        if number % 7:
            continue  # every seventh part: the same series again and again
        for resource in MetricsData.FromString(part).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    counts[kind, metric.name] += len(getattr(metric, kind).data_points)
        send_otlp(engine, "/v1/metrics", part)
    engine.wait_count(sum(counts.values()), "metrics WHERE type IN ('gauge', 'sum')", deadline=240)
    rows = engine.sql("SELECT type, name, count(*) AS n FROM metrics WHERE type IN ('gauge', 'sum') GROUP BY 1, 2")
    assert {(row["type"], row["name"]): row["n"] for row in rows} == dict(counts)


SAME = "service, env, version, name, resource, type, kind, error, error_kind, error_message, http_method, http_route, http_status_code, db_system, start_ns, duration_ns, metrics"


def test_datadog_payloads_are_the_same_spans_in_both_versions(fresh_engine, data):
    engine = fresh_engine
    payloads = []
    for file in sorted((data / "datadog").glob("*.json")):
        traces = json.loads(file.read_text())
        if all(isinstance(trace, list) for trace in traces):  # two files are statistics, not traces
            payloads.append(traces)
    assert len(payloads) > 100
    sent = {}
    for version, high, encode in (("v0.4", 4, wire.v04), ("v0.5", 5, wire.v05)):
        number, spans = 0, 0
        for traces in payloads:
            again = []
            for trace in traces:
                number += 1
                again.append([renumbered(span, high, number) for span in trace])
                spans += len(trace)
            engine.send_traces(encode(again), version, len(again))
        sent[version] = spans
    prefix = {version: f"{RENUMBERED + high:016x}" for version, high in (("v0.4", 4), ("v0.5", 5))}
    rows = {}
    for version, start in prefix.items():
        engine.wait_count(sent[version], f"spans WHERE trace_id LIKE '{start}%'")
        found = engine.sql(f"SELECT trace_id, span_id, parent_id, {SAME} FROM spans WHERE trace_id LIKE '{start}%'")
        rows[version] = {(row.pop("trace_id")[16:], row["span_id"], row["start_ns"]): row for row in found}
    assert len(rows["v0.4"]) == sent["v0.4"]
    different = [(key, row, rows["v0.5"].get(key)) for key, row in rows["v0.4"].items() if rows["v0.5"].get(key) != row]
    assert different == [], different[:1]


def renumbered(span, high, number):
    """The span under a trace id of its own, so that two sendings can be told apart."""
    meta = dict(span.get("meta") or {})
    meta["_dd.p.tid"] = f"{RENUMBERED + high:016x}"
    return dict(span, trace_id=number, meta=meta)


@pytest.fixture(scope="module", autouse=True)
def the_ledger_adds_up(fresh_engine):
    """After all of it: no offset twice or missing, every event accounted for, no row twice."""
    yield
    ledger.check(fresh_engine)
    ledger.check_rows(fresh_engine)
