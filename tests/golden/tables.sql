SHOW TABLES;

DESCRIBE logs;

SELECT count(*) AS n, min(timestamp) AS first, max(timestamp) AS last FROM logs;

SELECT service, status, count(*) AS n FROM logs GROUP BY 1, 2 ORDER BY 1, 2;

SELECT * FROM dead_letters;

SELECT count(*) AS n, sum(events) AS events FROM ledger;

SELECT l.message, s.resource, s.duration_ns FROM logs l JOIN spans s ON l.trace_id = s.trace_id WHERE l.hour = 9 ORDER BY l.timestamp;

SELECT date, hour, count(*) AS n FROM logs GROUP BY 1, 2 ORDER BY 1, 2;

SELECT message FROM logs WHERE timestamp >= '2026-03-01T09:00:00Z' AND timestamp < '2026-03-01T10:00:00Z' ORDER BY timestamp DESC LIMIT 2;

SELECT count(*) AS n FROM logs WHERE timestamp = '2026-03-01T08:50:00.000005Z';

SELECT count(*) AS n FROM logs WHERE timestamp > now() - interval '1 hour' AND timestamp > now();

SELECT events, attributes FROM spans ORDER BY timestamp LIMIT 1;

VALUES (1, 'a'), (2, NULL);

SELECT servce FROM logs;

SELECT * FROM log;

SELECT * FROM customers;

SELEC 1;

SELECT 1 / 0;

SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1
