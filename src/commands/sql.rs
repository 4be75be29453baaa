//! `tidemill sql`: asks the running service; when none runs, reads the tables itself.

mod offline;

use std::io::{Read, Write};

use bytes::Bytes;

use super::draw;
use crate::api::{Api, ApiError, Rows};
use crate::cli::{SqlArgs, SqlFormat};
use crate::config::{self, Config, Overrides};
use crate::engine::DataDirLock;
use crate::exit;
use crate::http::HttpError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum SqlError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("--url {0:?}: {1}; write http://HOST:PORT")]
    Url(String, &'static str),
    #[error(transparent)]
    Offline(#[from] offline::OfflineError),
    #[error("cannot read the query from standard input: {0}")]
    Input(std::io::Error),
    #[error("cannot write the answer: {0}")]
    Output(std::io::Error),
}

impl SqlError {
    fn exit_code(&self) -> u8 {
        match self {
            SqlError::Url(..) => exit::USAGE,
            SqlError::Api(ApiError::Refused { .. }) | SqlError::Output(_) | SqlError::Input(_) => {
                exit::FAILED
            }
            SqlError::Api(_) | SqlError::Offline(_) => exit::UNAVAILABLE,
        }
    }
}

/// Where the answer comes from.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// A service, `host:port`.
    Service(String),
    /// A service if it is there, else the tables.
    ServiceOrTables(String),
    /// The tables.
    Tables,
}

/// Asks and prints.
pub(super) async fn run(args: &SqlArgs) -> u8 {
    let overrides = Overrides { data_dir: args.data_dir.clone(), kafka: None };
    let config = match config::load(args.config.as_deref(), &overrides) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return exit::USAGE;
        }
    };
    match ask(args, &config).await {
        Ok(()) => exit::OK,
        // A reader such as `head` that has seen enough is no failure.
        Err(SqlError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::OK,
        Err(error) => {
            eprintln!("tidemill: {error}");
            error.exit_code()
        }
    }
}

async fn ask(args: &SqlArgs, config: &Config) -> Result<(), SqlError> {
    let sql = query_text(&args.sql)?;
    let format = args.format.api_name();
    let body = match target(args, config)? {
        Target::Service(host) => Api::new(host).raw(&sql, format).await?,
        Target::Tables => offline::ask(config, &sql, format).await?,
        Target::ServiceOrTables(host) => match Api::new(host).raw(&sql, format).await {
            Err(ApiError::Http(connect @ HttpError::Connect { .. })) => {
                tracing::debug!("{connect}; reading the tables");
                offline::ask(config, &sql, format).await?
            }
            other => other?,
        },
    };
    print(&body, args.format)
}

/// `--url` wins; then the process that runs on the data directory; then the configured address.
fn target(args: &SqlArgs, config: &Config) -> Result<Target, SqlError> {
    if let Some(url) = &args.url {
        return host_of(url).map(Target::Service);
    }
    if let Some(owner) = DataDirLock::owner(&config.data_dir) {
        return Ok(Target::Service(owner.http.to_string()));
    }
    // With --data-dir and no owner, whoever listens on the default port serves other data.
    if args.data_dir.is_some() && args.config.is_none() {
        return Ok(Target::Tables);
    }
    Ok(Target::ServiceOrTables(config.query.http.to_string()))
}

/// `host:port` of `http://host:port/`.
fn host_of(text: &str) -> Result<String, SqlError> {
    let bad = |reason| SqlError::Url(text.to_owned(), reason);
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = url::Url::parse(&with_scheme).map_err(|_| bad("is no URL"))?;
    if url.scheme() != "http" {
        return Err(bad("only http is spoken; put https in front with a proxy"));
    }
    let host = url.host_str().ok_or_else(|| bad("has no host"))?;
    Ok(format!("{host}:{}", url.port_or_known_default().unwrap_or(80)))
}

fn query_text(argument: &str) -> Result<String, SqlError> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    let limit = u64::try_from(schemas::limits::MAX_SQL_BYTES).unwrap_or(u64::MAX);
    std::io::stdin().take(limit + 1).read_to_string(&mut text).map_err(SqlError::Input)?;
    Ok(text)
}

fn print(body: &Bytes, format: SqlFormat) -> Result<(), SqlError> {
    let mut out = std::io::stdout().lock();
    let written = match format {
        SqlFormat::Table => {
            let rows: Rows = serde_json::from_slice(body)
                .map_err(|error| ApiError::Foreign("the service".to_owned(), error.to_string()))?;
            writeln!(out, "{}\n{}", draw(&rows), summary(&rows))
        }
        SqlFormat::Json => out.write_all(body).and_then(|()| match body.last() {
            Some(b'\n') => Ok(()),
            _ => out.write_all(b"\n"),
        }),
        SqlFormat::Csv | SqlFormat::Arrow => out.write_all(body),
    };
    written.and_then(|()| out.flush()).map_err(SqlError::Output)
}

fn summary(rows: &Rows) -> String {
    let count = rows.rows.len();
    let mut text = format!("{count} row{}", if count == 1 { "" } else { "s" });
    if let Some(elapsed) = rows.meta.get("elapsed_ms").and_then(serde_json::Value::as_f64) {
        text.push_str(&format!(", {elapsed:.0} ms"));
    }
    if rows.meta.get("truncated").and_then(serde_json::Value::as_bool) == Some(true) {
        text.push_str(", CUT at the row limit: add LIMIT or raise query.max_rows");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: Option<&str>, data_dir: Option<&std::path::Path>) -> SqlArgs {
        SqlArgs {
            format: SqlFormat::Table,
            data_dir: data_dir.map(Into::into),
            config: None,
            url: url.map(str::to_owned),
            sql: "SELECT 1".to_owned(),
        }
    }

    #[test]
    fn the_url_wins_then_the_owner_of_the_directory_then_the_default() {
        let dir = tempfile::tempdir().expect("temp");
        let overrides = Overrides { data_dir: Some(dir.path().to_owned()), kafka: None };
        let config = config::load(None, &overrides).expect("defaults");
        let at = |args: &SqlArgs| target(args, &config).expect("target");
        let default = Target::ServiceOrTables("127.0.0.1:8080".to_owned());
        assert_eq!(at(&args(None, None)), default);
        assert_eq!(at(&args(None, Some(dir.path()))), Target::Tables);
        assert_eq!(at(&args(Some("http://h:1/"), None)), Target::Service("h:1".to_owned()));
        let http = "127.0.0.1:999".parse().expect("address");
        let _held = DataDirLock::acquire(dir.path(), http).expect("free");
        assert_eq!(at(&args(None, Some(dir.path()))), Target::Service("127.0.0.1:999".to_owned()));
        assert!(target(&args(Some("https://h"), None), &config).is_err());
    }
}
