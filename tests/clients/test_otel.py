"""The OpenTelemetry SDK sends traces, logs and metrics over gRPC and HTTP, plain and gzipped."""

import logging

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, UpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

TRANSPORTS = ["grpc", "grpc-gzip", "http", "http-gzip"]
DELTA = dict.fromkeys((Counter, UpDownCounter, Histogram), AggregationTemporality.DELTA)


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return request.param


@pytest.fixture(autouse=True)
def exporters_say_nothing(caplog):
    """An exporter that is refused or has to retry logs a warning; none may."""
    with caplog.at_level(logging.WARNING, logger="opentelemetry"):
        yield
    assert [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")] == []


def exporter(engine, transport, signal, **options):
    """The exporter of a signal (`Span`, `Log`, `Metric`) over a transport, as its users configure it."""
    kind, _, gzip = transport.partition("-")
    module = {"Span": "trace_exporter", "Log": "_log_exporter", "Metric": "metric_exporter"}[signal]
    package = __import__(f"opentelemetry.exporter.otlp.proto.{kind}.{module}", fromlist=["x"])
    make = getattr(package, f"OTLP{signal}Exporter")
    if kind == "grpc":
        import grpc

        compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
        return make(endpoint=engine.address("otlp_grpc"), insecure=True, compression=compression, **options)
    from opentelemetry.exporter.otlp.proto.http import Compression

    path = {"Span": "/v1/traces", "Log": "/v1/logs", "Metric": "/v1/metrics"}[signal]
    compression = Compression.Gzip if gzip else Compression.NoCompression
    return make(endpoint=engine.url("otlp_http", path), compression=compression, **options)


def resource(mark):
    return Resource.create(
        {"service.name": mark, "service.version": "2.0", "deployment.environment.name": "it", "host.name": "otel-host", "team": "shop"}
    )


def test_spans_arrive_as_the_sdk_made_them(engine, mark, transport):
    provider = TracerProvider(resource=resource(mark))
    provider.add_span_processor(BatchSpanProcessor(exporter(engine, transport, "Span")))
    tracer = provider.get_tracer("it", "1")
    other = SpanContext(trace_id=0xABCDEF, span_id=0x1234, is_remote=True)
    attributes = {"http.request.method": "GET", "http.route": "/cart/{id}", "http.response.status_code": 500, "flag": True, "share": 0.5}
    with tracer.start_as_current_span("GET /cart/{id}", kind=SpanKind.SERVER, attributes=attributes) as root:
        with tracer.start_as_current_span("query", kind=SpanKind.CLIENT, attributes={"db.system.name": "postgresql"}, links=[Link(other, {"why": "retry"})]):
            pass
        try:
            raise ValueError("no such cart")
        except ValueError as error:
            root.record_exception(error)
            root.set_status(Status(StatusCode.ERROR, "no such cart"))
    provider.shutdown()

    engine.wait_count(2, f"spans WHERE service = '{mark}'")
    (row,) = engine.sql(
        "SELECT r.*, r.attributes['team'] AS team, r.attributes['flag'] AS flag, r.metrics['share'] AS share, c.db_system, c.kind AS child_kind, "
        f"c.links AS child_links FROM spans r JOIN spans c ON c.parent_id = r.span_id AND c.trace_id = r.trace_id WHERE r.service = '{mark}'"
    )
    context = root.get_span_context()
    assert (row["trace_id"], row["span_id"], row["parent_id"]) == (f"{context.trace_id:032x}", f"{context.span_id:016x}", "")
    assert (row["start_ns"], row["duration_ns"]) == (root.start_time, root.end_time - root.start_time)
    assert (row["env"], row["version"], row["host"], row["team"]) == ("it", "2.0", "otel-host", "shop")
    assert (row["http_method"], row["http_route"], row["http_status_code"]) == ("GET", "/cart/{id}", 500)
    assert (row["kind"], row["child_kind"], row["flag"], row["share"]) == ("server", "client", "true", 0.5)
    assert (row["error"], row["error_kind"], row["error_message"]) == (True, "ValueError", "no such cart")
    assert [event["name"] for event in row["events"]] == ["exception"] and row["db_system"] == "postgresql"
    assert [(link["trace_id"], link["span_id"]) for link in row["child_links"]] == [(f"{0xABCDEF:032x}", f"{0x1234:016x}")]


def test_logs_arrive_with_their_trace(engine, mark, transport):
    spans = TracerProvider(resource=resource(mark)).get_tracer("it")
    provider = LoggerProvider(resource=resource(mark))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter(engine, transport, "Log")))
    logger = provider.get_logger("it")
    levels = [(SeverityNumber.DEBUG, "debug"), (SeverityNumber.INFO, "info"), (SeverityNumber.WARN, "warn"), (SeverityNumber.ERROR, "error")]
    with spans.start_as_current_span("work") as span:
        for number, (severity, _) in enumerate(levels):
            logger.emit(
                timestamp=1_700_000_000_000_000_000 + number,
                severity_number=severity,
                body=f"line {number} ünï",
                attributes={"number": number, "nested": {"a": [1, "b"]}},
            )
    provider.shutdown()

    engine.wait_count(4, f"logs WHERE service = '{mark}'")
    rows = engine.sql(
        "SELECT timestamp_ns, status, message, trace_id, span_id, env, version, host, attributes['number'] AS number, attributes['team'] AS team "
        f"FROM logs WHERE service = '{mark}' ORDER BY timestamp_ns"
    )
    context = span.get_span_context()
    assert [row["timestamp_ns"] for row in rows] == [1_700_000_000_000_000_000 + number for number in range(4)]
    assert [row["status"] for row in rows] == [name for _, name in levels]
    assert [row["message"] for row in rows] == [f"line {number} ünï" for number in range(4)]
    assert {(row["trace_id"], row["span_id"]) for row in rows} == {(f"{context.trace_id:032x}", f"{context.span_id:016x}")}
    assert {(row["env"], row["version"], row["host"], row["team"]) for row in rows} == {("it", "2.0", "otel-host", "shop")}
    assert [row["number"] for row in rows] == list("0123")


def test_metric_values_are_exact(engine, mark, transport):
    exporting = exporter(engine, transport, "Metric", preferred_temporality=DELTA)
    reader = PeriodicExportingMetricReader(exporting, export_interval_millis=3_600_000)
    views = [
        View(instrument_name="explicit", aggregation=ExplicitBucketHistogramAggregation((1, 10, 100))),
        View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation()),
    ]
    provider = MeterProvider(metric_readers=[reader], resource=resource(mark), views=views)
    meter = provider.get_meter("it")
    requests = meter.create_counter("requests", unit="{request}")
    for _ in range(7):
        requests.add(3, {"path": "/a"})
    requests.add(1, {"path": "/b"})
    meter.create_gauge("temperature", unit="Cel").set(-3.25)
    measured = [0.5, 1, 5, 50, 500, 5000]
    for name in ("explicit", "exponential"):
        histogram = meter.create_histogram(name, unit="ms")
        for value in measured:
            histogram.record(value)
    provider.shutdown()

    engine.wait_count(5, f"metrics WHERE service = '{mark}'")
    columns = "name, type, temporality, monotonic, unit, env, version, host, tags['path'] AS path, count, sum, min, max, last, bounds, bucket_counts"
    rows = engine.sql(f"SELECT {columns} FROM metrics WHERE service = '{mark}'")
    assert {(row["env"], row["version"], row["host"]) for row in rows} == {("it", "2.0", "otel-host")}
    found = {(row["name"], row["path"]): row for row in rows}
    for path, total in (("/a", 21), ("/b", 1)):
        row = found["requests", path]
        assert (row["type"], row["temporality"], row["monotonic"], row["unit"], row["sum"]) == ("sum", "delta", True, "{request}", total)
    gauge = found["temperature", None]
    assert (gauge["type"], gauge["temporality"], gauge["unit"], gauge["last"]) == ("gauge", "", "Cel", -3.25)
    explicit, exponential = found["explicit", None], found["exponential", None]
    for row, kind in ((explicit, "histogram"), (exponential, "exponential_histogram")):
        assert (row["type"], row["count"], row["sum"], row["min"], row["max"]) == (kind, len(measured), sum(measured), 0.5, 5000)
    # A value on a bound belongs to the bucket below it: (..1] (1..10] (10..100] (100..).
    assert (explicit["bounds"], explicit["bucket_counts"]) == ([1, 10, 100], [2, 1, 1, 2])
    p50 = engine.value(f"SELECT p50(sketch) FROM metrics WHERE service = '{mark}' AND name = 'exponential'")
    assert 4.5 <= p50 <= 55, "the median lies between the third and the fourth value"
