"""The log pipeline seen from outside: grok, metrics before exclusion, the ledger's account."""

import ledger
import wire


def test_the_line_every_user_of_datadog_knows(engine):
    service = f"app{wire.new_id(32)}"
    line = f"2024-04-27 12:00:00 ERROR [{service}] Connection timeout: host=db01 duration=5002ms"
    engine.send_logs([{"message": line, "ddsource": "known", "service": "before"}])
    (row,) = engine.wait_for(
        "SELECT timestamp, status, service, message, attributes['db_host'] AS host, attributes['duration_ms'] AS duration_ms "
        f"FROM logs WHERE service = '{service}'",
        lambda rows: len(rows) == 1,
    )
    assert row["timestamp"].startswith("2024-04-27T12:00:00")
    assert (row["status"], row["message"], row["host"], row["duration_ms"]) == ("error", "Connection timeout", "db01", "5002")


def test_a_metric_equals_the_query_although_logs_were_excluded(fresh_engine):
    engine = fresh_engine
    sent = {200: 600, 404: 150, 500: 50}
    health = 200
    entries = [
        {"message": f"{code} {n}", "service": "counted", "ddsource": "counted", "http.status_code": code, "http.url": f"/item/{n}"}
        for code, many in sent.items()
        for n in range(many)
    ]
    entries += [{"message": "ok", "service": "probe", "ddsource": "counted", "http.status_code": 200, "http.url": "/health"}] * health
    for start in range(0, len(entries), 500):
        engine.send_logs(entries[start : start + 500])

    rows = engine.wait_for(
        "SELECT service, tags['code'] AS code, sum(count) AS n FROM metrics WHERE name = 'it.requests' GROUP BY 1, 2",
        lambda rows: sum(row["n"] for row in rows) >= len(entries),
    )
    counted = {(row["service"], int(row["code"])): row["n"] for row in rows}
    assert counted == {("counted", code): many for code, many in sent.items()} | {("probe", 200): health}

    kept = engine.value("SELECT count(*) FROM logs")
    assert engine.value("SELECT count(*) FROM logs WHERE service = 'probe'") == 0
    assert 0.35 * 800 < kept < 0.65 * 800, "half of the logs, give or take chance"
    excluded = {row["rule"]: row["n"] for row in engine.sql("SELECT rule, sum(events) AS n FROM ledger WHERE action = 'excluded' GROUP BY 1")}
    assert excluded == {"main/health checks": health, "main/half of the access logs": 800 - kept}
    assert ledger.check(engine)["received"] == len(entries)
    ledger.check_rows(engine)
