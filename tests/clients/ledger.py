"""The invariant of the ledger, checked from outside with nothing but SQL.

For every topic partition: the offset ranges of the units follow one another without gap or
overlap, and every event received was indexed, excluded or refused.
"""


def check(engine, sources=None):
    """Fails on the first broken promise; returns events by action."""
    where = "" if sources is None else " WHERE _topic IN (" + ", ".join(f"'{each}'" for each in sources) + ")"
    ranges = engine.sql(
        "SELECT _topic, _partition, from_offset, to_offset, messages, events FROM ledger "
        f"{where + ' AND' if where else ' WHERE'} action = 'received' ORDER BY _topic, _partition, from_offset"
    )
    last = {}
    for row in ranges:
        place = (row["_topic"], row["_partition"])
        assert row["to_offset"] >= row["from_offset"], row
        if place in last:
            assert row["from_offset"] == last[place], f"{place}: a unit starts at {row['from_offset']}, the one before ended at {last[place]}"
        last[place] = row["to_offset"]

    sums = engine.sql(f"SELECT _topic, _partition, action, sum(events) AS events FROM ledger{where} GROUP BY 1, 2, 3")
    actions, total = {}, {}
    for row in sums:
        actions.setdefault((row["_topic"], row["_partition"]), {})[row["action"]] = row["events"]
        total[row["action"]] = total.get(row["action"], 0) + row["events"]
    for place, events in actions.items():
        accounted = sum(events.get(action, 0) for action in ("indexed", "excluded", "dead_letter"))
        assert events.get("received", 0) == accounted, f"{place}: {events}"
    return total


def check_rows(engine):
    """The ledger against the tables: what it calls indexed or refused is there, once."""
    for table, signal in (("logs", "logs"), ("spans", "spans")):
        rows = engine.value(f"SELECT count(*) FROM {table}")
        told = engine.value(f"SELECT coalesce(sum(events), 0) FROM ledger WHERE action = 'indexed' AND signal = '{signal}'")
        assert rows == told, f"{table}: {rows} rows, the ledger says {told}"
        doubled = engine.sql(
            f"SELECT _topic, _partition, _offset, _index, count(*) AS n FROM {table} GROUP BY 1, 2, 3, 4 HAVING count(*) > 1 LIMIT 5"
        )
        assert doubled == [], f"{table}: rows twice: {doubled}"
    dead = engine.value("SELECT count(*) FROM dead_letters")
    assert dead == engine.value("SELECT coalesce(sum(events), 0) FROM ledger WHERE action = 'dead_letter'")
