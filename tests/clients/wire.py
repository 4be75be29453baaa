"""Payloads as tracers and SDKs put them on the wire, for tests that need exact bytes.

The real clients have tests of their own; these are for the shapes a well-behaved client never
sends, for real captures that have to be encoded again, and for plain Kafka producers.
"""

import json
import random
import struct
import time

import msgpack
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

#: Order of a v0.5 span's twelve elements.
V05 = ("service", "name", "resource", "trace_id", "span_id", "parent_id", "start", "duration", "error", "meta", "metrics", "type")


def new_id(bits=64):
    """A random id that is never zero."""
    return random.getrandbits(bits) | 1


def dd_span(service, **over):
    """A valid span in v0.4 field names."""
    span = {
        "service": service,
        "name": "it.work",
        "resource": "work",
        "type": "custom",
        "trace_id": new_id(63),
        "span_id": new_id(63),
        "parent_id": 0,
        "start": time.time_ns(),
        "duration": 1_000_000,
        "error": 0,
        "meta": {"env": "it", "version": "1", "_dd.p.tid": "640cfd8d00000000"},
        "metrics": {"_sampling_priority_v1": 1},
    }
    span.update(over)
    return span


def v04(traces):
    """A v0.4 body: array of traces of span maps. `meta_struct` values become msgpack documents."""

    def pack(span):
        if "meta_struct" in span:
            span = dict(span, meta_struct={key: msgpack.packb(value) for key, value in span["meta_struct"].items()})
        return span

    return msgpack.packb([[pack(span) for span in trace] for trace in traces])


def v05(traces):
    """A v0.5 body: string table, then arrays of twelve. Fields v0.5 lacks travel as JSON in `meta`."""
    table = {"": 0}

    def text(value):
        return table.setdefault(value or "", len(table))

    def pack(span):
        meta = dict(span.get("meta") or {})
        if span.get("span_links"):
            meta["_dd.span_links"] = json.dumps([_link_json(link) for link in span["span_links"]])
        return [
            text(span.get("service")),
            text(span.get("name")),
            text(span.get("resource")),
            span["trace_id"],
            span["span_id"],
            span["parent_id"],
            span["start"],
            span["duration"],
            span.get("error", 0),
            {text(key): text(value) for key, value in meta.items()},
            {text(key): float(value) for key, value in (span.get("metrics") or {}).items()},
            text(span.get("type")),
        ]

    packed = [[pack(span) for span in trace] for trace in traces]
    return msgpack.packb([list(table), packed])


def _link_json(link):
    trace_id = (link.get("trace_id_high", 0) << 64) | link["trace_id"]
    out = {"trace_id": f"{trace_id:032x}", "span_id": f"{link['span_id']:016x}"}
    for name in ("attributes", "tracestate", "flags"):
        if name in link:
            out[name] = link[name]
    return out


def otlp_traces(service, spans=1, **over):
    """An ExportTraceServiceRequest with one resource and `spans` spans of one trace."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    _resource(resource.resource, service)
    scope = resource.scope_spans.add()
    scope.scope.name = "it"
    trace_id = new_id(128).to_bytes(16, "big")
    now = time.time_ns()
    for number in range(spans):
        span = scope.spans.add()
        span.trace_id, span.span_id = trace_id, new_id().to_bytes(8, "big")
        span.name, span.kind = f"work {number}", 2
        span.start_time_unix_nano, span.end_time_unix_nano = now, now + 1_500_000
        for key, value in over.items():
            setattr(span, key, value)
    return request


def otlp_logs(service, messages, **over):
    """An ExportLogsServiceRequest with one record per message."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    _resource(resource.resource, service)
    scope = resource.scope_logs.add()
    for message in messages:
        record = scope.log_records.add()
        record.time_unix_nano = time.time_ns()
        record.severity_number, record.severity_text = 9, "INFO"
        record.body.string_value = message
        for key, value in over.items():
            setattr(record, key, value)
    return request


def otlp_gauge(service, name, value):
    """An ExportMetricsServiceRequest with one gauge point."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    _resource(resource.resource, service)
    metric = resource.scope_metrics.add().metrics.add()
    metric.name, metric.unit = name, "1"
    point = metric.gauge.data_points.add()
    point.time_unix_nano, point.as_double = time.time_ns(), value
    return request


def _resource(resource, service):
    for key, value in (("service.name", service), ("deployment.environment.name", "it"), ("service.version", "1")):
        attribute = resource.attributes.add()
        attribute.key, attribute.value.string_value = key, value


def otlp_json(request):
    """OTLP's JSON: proto3 JSON, but ids as hex and enums as numbers."""
    from google.protobuf.json_format import MessageToDict

    tree = MessageToDict(request, use_integers_for_enums=True)

    def hex_ids(node):
        if isinstance(node, list):
            for each in node:
                hex_ids(each)
        elif isinstance(node, dict):
            for key, value in node.items():
                if key in ("traceId", "spanId", "parentSpanId") and isinstance(value, str):
                    node[key] = _base64_to_hex(value)
                else:
                    hex_ids(value)

    hex_ids(tree)
    return json.dumps(tree).encode()


def _base64_to_hex(text):
    import base64

    return base64.b64decode(text).hex()


def framed(path):
    """Parts of a capture: zstd around (4 bytes big-endian length, that many bytes) again and again."""
    with open(path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        while len(head := _exactly(reader, 4)) == 4:
            yield _exactly(reader, struct.unpack(">I", head)[0])


def _exactly(reader, count):
    out = bytearray()
    while len(out) < count and (piece := reader.read(count - len(out))):
        out += piece
    return bytes(out)
