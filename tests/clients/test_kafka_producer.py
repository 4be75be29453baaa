"""A plain Kafka client writes to the topics itself: every format, and bytes that are none."""

import json
import time

import pytest
import wire
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from engine import SOURCES


@pytest.fixture(scope="module")
def produce(engine):
    """Writes values to a topic and returns their (partition, offset), all acknowledged."""
    admin = wait_for_topics(engine)
    producer = Producer({"bootstrap.servers": engine.kafka, "acks": "all", "enable.idempotence": True, "linger.ms": 5})

    def write(topic, values, headers=None):
        places, errors = {}, []

        def delivered(number):
            def report(error, message):
                if error:
                    errors.append(error)
                else:
                    places[number] = (message.partition(), message.offset())

            return report

        # Over all partitions in turn, so that no partition is left out by chance.
        partitions = len(admin.list_topics(topic, timeout=10).topics[topic].partitions)
        for number, value in enumerate(values):
            producer.produce(topic, value, partition=number % partitions, headers=headers, on_delivery=delivered(number))
        assert producer.flush(60) == 0 and errors == [], errors
        return [places[number] for number in range(len(values))]

    return write


def wait_for_topics(engine):
    """The topics of the configured sources: made by the engine at start, else by this test."""
    admin = AdminClient({"bootstrap.servers": engine.kafka})
    end = time.monotonic() + 20
    while missing := set(SOURCES) - set(admin.list_topics(timeout=10).topics):
        if time.monotonic() > end:
            for future in admin.create_topics([NewTopic(topic, 4, 1) for topic in missing]).values():
                future.result(20)
        time.sleep(0.2)
    return admin


def lineage(engine, table, where):
    rows = engine.sql(f"SELECT _partition, _offset FROM {table} WHERE {where}")
    return sorted((row["_partition"], row["_offset"]) for row in rows)


def test_json_lines(engine, mark, produce):
    values = [json.dumps({"service": mark, "message": f"m{n}", "level": "warn", "n": n, "deep": {"er": n / 2}}) for n in range(200)]
    places = produce("it.json", values)
    engine.wait_count(200, f"logs WHERE service = '{mark}'")
    rows = engine.sql(
        f"SELECT message, status, attributes['n'] AS n, attributes['deep.er'] AS deeper, _topic FROM logs WHERE service = '{mark}' ORDER BY message"
    )
    assert {row["message"] for row in rows} == {f"m{n}" for n in range(200)}
    assert {(row["status"], row["_topic"]) for row in rows} == {("warn", "it.json")}
    assert all(row["message"] == f"m{row['n']}" for row in rows)
    assert lineage(engine, "logs", f"service = '{mark}'") == sorted(places)


def test_raw_lines(engine, mark, produce):
    places = produce("it.raw", [f"{mark} raw line {n}".encode() for n in range(50)])
    engine.wait_count(50, f"logs WHERE _topic = 'it.raw' AND message LIKE '{mark}%'")
    assert lineage(engine, "logs", f"_topic = 'it.raw' AND message LIKE '{mark}%'") == sorted(places)


def test_datadog_v04(engine, mark, produce):
    spans = [wire.dd_span(mark, resource=f"r{n}") for n in range(20)]
    produce("it.datadog", [wire.v04([[span]]) for span in spans])
    engine.wait_count(20, f"spans WHERE service = '{mark}'")
    rows = engine.sql(f"SELECT trace_id, span_id, resource, start_ns FROM spans WHERE service = '{mark}'")
    assert {(row["trace_id"], row["span_id"], row["resource"], row["start_ns"]) for row in rows} == {
        (f"{0x640CFD8D00000000:016x}{span['trace_id']:016x}", f"{span['span_id']:016x}", span["resource"], span["start"]) for span in spans
    }


def test_datadog_v05_named_by_a_header(engine, mark, produce):
    produce("it.datadog", [wire.v05([[wire.dd_span(mark)]])], headers=[("content-type", b"datadog_v05")])
    engine.wait_count(1, f"spans WHERE service = '{mark}'")


def test_otlp_proto_of_every_signal(engine, mark, produce):
    produce("it.otlp_spans", [wire.otlp_traces(mark, spans=5).SerializeToString()])
    produce("it.otlp_logs", [wire.otlp_logs(mark, ["one", "two"]).SerializeToString()])
    produce("it.otlp_metrics", [wire.otlp_gauge(mark, "g", 4.5).SerializeToString()])
    engine.wait_count(5, f"spans WHERE service = '{mark}'")
    engine.wait_count(2, f"logs WHERE service = '{mark}'")
    engine.wait_for(f"SELECT last FROM metrics WHERE service = '{mark}'", lambda rows: [row["last"] for row in rows] == [4.5])


def test_otlp_json(engine, mark, produce):
    request = wire.otlp_traces(mark, spans=3)
    produce("it.otlp_json_spans", [wire.otlp_json(request)])
    engine.wait_count(3, f"spans WHERE service = '{mark}'")
    sent = {span.span_id.hex() for span in request.resource_spans[0].scope_spans[0].spans}
    assert {row["span_id"] for row in engine.sql(f"SELECT span_id FROM spans WHERE service = '{mark}'")} == sent


def test_producers_without_a_default_topic_of_their_own(engine, mark, produce):
    """The engine's own topics take foreign producers too; the header names the format."""
    produce("tidemill.logs", [json.dumps({"service": mark, "message": "hello"})], headers=[("content-type", b"json")])
    engine.wait_count(1, f"logs WHERE service = '{mark}'")


FOREIGN = {
    "it.json": [b"\x00\x01\x02 not json", b'{"cut": ', b"[1,2]", b"\xff\xfe"],
    "it.datadog": [b"", b"\x91", b"\xdd\xff\xff\xff\xff", b"plain text", b"\xc1" * 100],
    "it.otlp_spans": [b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"hello"],
    "it.otlp_json_spans": [b"{", b'{"resourceSpans": 7}', b"\x80"],
}


@pytest.mark.parametrize("topic", FOREIGN)
def test_foreign_bytes_become_dead_letters(engine, mark, produce, topic):
    places = produce(topic, FOREIGN[topic])
    wanted = [place for place, value in zip(places, FOREIGN[topic], strict=True) if value]
    rows = engine.wait_for(
        f"SELECT _partition, _offset, reason, detail, payload_bytes, signal, format FROM dead_letters WHERE _topic = '{topic}'",
        lambda rows: set(wanted) <= {(row["_partition"], row["_offset"]) for row in rows},
    )
    of_ours = [row for row in rows if (row["_partition"], row["_offset"]) in wanted]
    assert all(row["reason"] and row["detail"] for row in of_ours), of_ours
    assert {(row["signal"], row["format"]) for row in of_ours} == {SOURCES[topic]}
    sizes = dict(zip(places, map(len, FOREIGN[topic]), strict=True))
    assert all(row["payload_bytes"] == sizes[row["_partition"], row["_offset"]] for row in of_ours)
    # The partitions are not stuck: what comes behind the foreign bytes arrives.
    after = {
        "it.json": [json.dumps({"service": mark, "message": "after"}).encode()] * 12,
        "it.datadog": [wire.v04([[wire.dd_span(mark)]]) for _ in range(12)],
        "it.otlp_spans": [wire.otlp_traces(mark).SerializeToString() for _ in range(12)],
        "it.otlp_json_spans": [wire.otlp_json(wire.otlp_traces(mark)) for _ in range(12)],
    }[topic]
    produce(topic, after)
    engine.wait_count(12, f"{SOURCES[topic][0]} WHERE service = '{mark}'")


def test_an_unknown_format_is_named(engine, mark, produce):
    ((partition, offset),) = produce("it.json", [mark.encode()], headers=[("content-type", b"avro/" + mark.encode())])
    rows = engine.wait_for(
        f"SELECT reason, detail FROM dead_letters WHERE _topic = 'it.json' AND _partition = {partition} AND _offset = {offset}",
        lambda rows: len(rows) == 1,
    )
    assert rows[0]["reason"] == "unknown_format" and mark in rows[0]["detail"]
