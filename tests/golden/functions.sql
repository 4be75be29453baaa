SELECT attributes['http.method'] AS method, count(*) AS n FROM logs GROUP BY 1;

SELECT attr(attributes, 'http.method') AS method, max(attr_num(attributes, 'duration_ms')) AS slowest FROM logs GROUP BY 1;

SELECT attributes['missing'] AS missing, attr(attributes, 'missing') AS also FROM logs LIMIT 1;

SELECT tag(tags, 'team') AS team, count(*) AS n FROM logs GROUP BY 1;

SELECT tag(tags, 'region') AS region FROM metrics LIMIT 1;

SELECT service, count(*) AS n FROM logs WHERE has_token(message, 'TIMEOUT') GROUP BY 1;

SELECT time_bucket('1 hour', timestamp) AS bucket, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1;

SELECT time_bucket(interval '30 minutes', timestamp) AS bucket, count(*) AS n FROM spans WHERE hour = 8 GROUP BY 1 ORDER BY 1;

SELECT name, sum(count) AS n, round(p50(sketch)) AS p50, round(p99(sketch)) AS p99, round(quantile(sketch, 0.25)) AS q25 FROM metrics GROUP BY 1;

SELECT round(sketch_quantile(merge_sketch(sketch), 0.9)) AS p90 FROM metrics;

SELECT round(sketch_quantile(sketch, 0.5)) AS p50 FROM metrics ORDER BY timestamp;

SELECT service, round(p99(duration_ns) / 1e6, 1) AS p99_ms, round(p50(duration_ns) / 1e6, 1) AS p50_ms FROM spans GROUP BY 1;

SELECT p99(sketch) AS nothing FROM metrics WHERE name = 'none';

SELECT to_json(attributes) AS attributes, to_json(tags) AS tags FROM logs ORDER BY timestamp LIMIT 1;

SELECT p99(message) FROM logs;

SELECT quantile(duration_ns, 2) FROM spans;

SELECT attr(message, 'x') FROM logs
