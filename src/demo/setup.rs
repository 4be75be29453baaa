//! A fresh directory, the demo's pipeline, and the ports.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use crate::cli::DemoArgs;
use crate::config::{self, Brokers, Config, Overrides, Problems};

/// The configuration a team would write for this shop.
const CONFIG: &str = include_str!("../../config/demo.yaml");

/// Why the demo could not be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetupError {
    #[error("{dir} is not empty; the demo wants a fresh directory (--data-dir)")]
    NotEmpty { dir: PathBuf },
    #[error("cannot make the directory {dir}: {source}")]
    Directory { dir: PathBuf, source: std::io::Error },
    #[error("no free port on loopback: {0}")]
    Port(std::io::Error),
    #[error("its configuration is refused:\n{0}")]
    Config(#[from] Problems),
}

/// The checked configuration, its directory made.
pub(super) fn config(args: &DemoArgs) -> Result<Config, SetupError> {
    let dir = directory(args)?;
    let overrides = Overrides { data_dir: Some(dir), kafka: None };
    let mut config = config::from_text(CONFIG, &overrides)?;
    if args.free_ports {
        free_ports(&mut config).map_err(SetupError::Port)?;
    }
    Ok(config)
}

fn directory(args: &DemoArgs) -> Result<PathBuf, SetupError> {
    let dir = args.data_dir.clone().unwrap_or_else(|| {
        let name = format!("tidemill-demo-{}", uuid::Uuid::new_v4().simple());
        std::env::temp_dir().join(name)
    });
    let error = |source| SetupError::Directory { dir: dir.clone(), source };
    std::fs::create_dir_all(&dir).map_err(error)?;
    if std::fs::read_dir(&dir).map_err(error)?.next().is_some() {
        return Err(SetupError::NotEmpty { dir });
    }
    // The answers show paths: they must hold wherever the reader stands.
    std::fs::canonicalize(&dir).map_err(error)
}

/// Gives every listener a port that is free now; all are held until all are known.
fn free_ports(config: &mut Config) -> std::io::Result<()> {
    let mut held = Vec::new();
    let mut free = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        held.push(listener);
        Ok::<_, std::io::Error>(address)
    };
    config.intake.datadog = free()?;
    config.intake.otlp_grpc = free()?;
    config.intake.otlp_http = free()?;
    config.query.http = free()?;
    config.query.postgres = free()?;
    config.health = free()?;
    config.kafka.brokers = Brokers::Embedded { listen: free()? };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_refuses_a_directory_with_something_in_it() {
        let dir = tempfile::tempdir().expect("temp");
        std::fs::write(dir.path().join("x"), "x").expect("write");
        let args = DemoArgs { data_dir: Some(dir.path().to_owned()), ..DemoArgs::default() };
        let error = directory(&args).expect_err("not empty").to_string();
        assert!(error.contains("--data-dir"), "{error}");
    }

    #[test]
    fn free_ports_differ_from_one_another() {
        let mut config = config::from_text("", &Overrides::default()).expect("defaults");
        free_ports(&mut config).expect("ports");
        let mut ports: Vec<u16> = config.listeners().iter().map(|(_, at)| at.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 7);
    }
}
