SELECT service, message FROM logs WHERE search('service:cart "request 2"') ORDER BY timestamp LIMIT 2;

SELECT count(*) AS n FROM logs WHERE search('status:error timeout');

SELECT count(*) AS n FROM logs WHERE search('@duration_ms:[101 TO 301] -service:checkout');

SELECT count(*) AS n FROM logs WHERE search('team:shop n:(1 OR 5)');

SELECT count(*) AS n FROM logs WHERE search('@http.method:G* _missing_:@nope *:GET');

SELECT count(*) AS n FROM logs WHERE NOT search('service:c*t');

SELECT search('status:error') AS failed, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1;

SELECT count(*) AS n FROM logs l WHERE search('*');

SELECT count(*) AS n FROM spans WHERE search('status:error resource_name:"GET /cart" @_sampling_priority_v1:1');

SELECT count(*) AS n FROM logs l JOIN (SELECT trace_id FROM spans WHERE search('operation_name:http.*')) s ON l.trace_id = s.trace_id WHERE l.status = 'info';

SELECT count(*) FROM logs WHERE search('service:(cart');

SELECT count(*) FROM logs WHERE search(service);

SELECT count(*) FROM metrics WHERE search('cart');

SELECT search('x')
