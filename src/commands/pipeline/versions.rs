//! `tidemill pipeline versions`: which pipelines made the rows there are, and the text of one of them.

use serde_json::json;
use stream::versions::{self, Version, VersionError};

use crate::api::Rows;
use crate::cli::{PipelineVersionsArgs, ReportFormat};
use crate::config::{self, Overrides};
use crate::exit;

/// Lists, or shows one.
pub(super) async fn run(args: &PipelineVersionsArgs) -> u8 {
    let overrides = Overrides { data_dir: args.data_dir.clone(), kafka: None };
    let config = match config::load(args.config.as_deref(), &overrides) {
        Ok(config) => config,
        Err(problems) => {
            super::refuse(&problems);
            return exit::USAGE;
        }
    };
    let store = match stream::store::open(&config.storage) {
        Ok(store) => store,
        Err(error) => {
            eprintln!("tidemill: {error}");
            return exit::UNAVAILABLE;
        }
    };
    let shown = match &args.show {
        Some(version) => show(&store, version).await,
        None => versions::list(&store).await.map(|versions| table(&versions, args.format)),
    };
    match shown {
        Ok(text) => {
            println!("{text}");
            exit::OK
        }
        Err(error) => {
            eprintln!("tidemill: {error}");
            match error {
                VersionError::Unknown(_) => exit::USAGE,
                _ => exit::UNAVAILABLE,
            }
        }
    }
}

async fn show(
    store: &std::sync::Arc<dyn object_store::ObjectStore>,
    version: &str,
) -> Result<String, VersionError> {
    let config = versions::load(store, version).await?;
    let unreadable = |error: anyhow::Error| VersionError::Unreadable {
        version: version.to_owned(),
        reason: error.to_string(),
    };
    super::import::to_yaml(&config).map(|text| text.trim_end().to_owned()).map_err(unreadable)
}

fn table(versions: &[Version], format: ReportFormat) -> String {
    if format == ReportFormat::Json {
        return json!({ "versions": versions }).to_string();
    }
    let time = |millis: Option<i64>| {
        let moment = millis.and_then(chrono::DateTime::from_timestamp_millis);
        moment.map(|moment| moment.format("%Y-%m-%d %H:%M:%S").to_string())
    };
    let row = |version: &Version| {
        let Version { version, kept_millis, first_seq, last_seq, units } = version;
        json!([version, time(*kept_millis), first_seq, last_seq, units])
    };
    let column = |name: &str| json!({ "name": name, "type": "text" });
    let names = ["version", "kept", "first seq", "last seq", "units"];
    let rows = json!({
        "columns": names.map(column), "rows": versions.iter().map(row).collect::<Vec<_>>(),
    });
    match serde_json::from_value::<Rows>(rows) {
        Ok(rows) => crate::commands::draw(&rows),
        Err(error) => error.to_string(),
    }
}
