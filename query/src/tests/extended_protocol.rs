//! Prepared statements with parameters, byte by byte: what psycopg, JDBC and Grafana's drivers send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http_api::config;
use crate::start;
use crate::testing::shop;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Reads messages up to ReadyForQuery.
async fn answers(socket: &mut TcpStream) -> Vec<(u8, Vec<u8>)> {
    let mut messages = Vec::new();
    loop {
        let kind = socket.read_u8().await.unwrap();
        let mut body = vec![0; socket.read_u32().await.unwrap() as usize - 4];
        socket.read_exact(&mut body).await.unwrap();
        if kind == b'Z' {
            return messages;
        }
        messages.push((kind, body));
    }
}

/// Parse, Bind, Describe, Execute, Sync; the first value of each row, or the error.
async fn ask(
    socket: &mut TcpStream,
    sql: &str,
    parameters: &[&str],
    result_format: u16,
) -> Vec<Vec<u8>> {
    let mut parse = vec![0];
    parse.extend(sql.as_bytes());
    parse.extend([0, 0, 0]);
    let mut bind = vec![0, 0, 0, 0];
    bind.extend(u16::try_from(parameters.len()).unwrap().to_be_bytes());
    for parameter in parameters {
        bind.extend(u32::try_from(parameter.len()).unwrap().to_be_bytes());
        bind.extend(parameter.as_bytes());
    }
    bind.extend([0, 1]);
    bind.extend(result_format.to_be_bytes());
    let mut request = message(b'P', &parse);
    request.extend(message(b'B', &bind));
    request.extend(message(b'D', b"P\0"));
    request.extend(message(b'E', &[0, 0, 0, 0, 0]));
    request.extend(message(b'S', &[]));
    socket.write_all(&request).await.unwrap();
    let messages = answers(socket).await;
    messages
        .into_iter()
        .filter_map(|(kind, body)| match kind {
            b'D' => {
                let length = u32::from_be_bytes(body[2..6].try_into().unwrap()) as usize;
                Some(body[6..6 + length].to_vec())
            }
            b'E' => Some(body),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_take_parameters_and_see_new_versions() {
    let running = start(config(&shop().await)).await.unwrap();
    let mut socket = TcpStream::connect(running.addresses().postgres).await.unwrap();
    let mut startup = 196_608u32.to_be_bytes().to_vec();
    startup.extend(b"user\0t\0database\0tidemill\0\0");
    let mut greeting = u32::try_from(startup.len() + 4).unwrap().to_be_bytes().to_vec();
    greeting.extend(startup);
    socket.write_all(&greeting).await.unwrap();
    answers(&mut socket).await;

    let cases: [(&str, &[&str], &[u8]); 5] = [
        ("SELECT count(*) FROM logs WHERE service = $1", &["cart"], b"9"),
        ("SELECT count(*) FROM logs WHERE timestamp >= $1", &["2026-03-01 10:00:00+00"], b"6"),
        (
            "SELECT count(*) FROM logs WHERE attributes['http.method'] = $1 LIMIT $2",
            &["GET", "5"],
            b"18",
        ),
        ("SELECT $1::bigint + 1", &["41"], b"42"),
        ("SHOW statement_timeout", &[], b"0"),
    ];
    for (sql, parameters, expected) in cases {
        let rows = ask(&mut socket, sql, parameters, 0).await;
        assert_eq!(rows, [expected], "{sql}: {}", String::from_utf8_lossy(&rows.concat()));
    }
    let rows = ask(&mut socket, "SELECT count(*) FROM logs", &[], 1).await;
    assert_eq!(rows, [18i64.to_be_bytes()], "binary results");
    let refused = ask(&mut socket, "DROP TABLE logs", &[], 0).await.concat();
    assert!(String::from_utf8_lossy(&refused).contains("read-only"));
    assert_eq!(ask(&mut socket, "SELECT 1", &[], 0).await, [b"1"], "the connection goes on");
}
