//! `geo-ip-parser`: the place of an IP address, from the MaxMind-format database that the
//! configuration names. Without one the processor is accepted, noted, and writes nothing: pipelines
//! written for Datadog go on working.
//!
//! Names as published integrations expect them: `location.latitude` (the documentation's example has `lat`),
//! `subdivision.iso_code` with its country, `ipAddress`, `timezone`, and `invalidAddress` for what is none.

use std::net::IpAddr;

use bumpalo::Bump;
use maxminddb::geoip2::{City, Names};

use super::Outcome;
use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::{ConfigError, GeoIpParserConfig};
use crate::pipeline::source;
use crate::value::Value;

/// An open database.
pub(in crate::pipeline) struct GeoDatabase(maxminddb::Reader<Vec<u8>>);

impl std::fmt::Debug for GeoDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GeoDatabase").field(&self.0.metadata().database_type).finish()
    }
}

impl GeoDatabase {
    /// Opens a database.
    pub(in crate::pipeline) fn open(content: Vec<u8>) -> Result<Self, String> {
        let wrong = |error| format!("no database in MaxMind's format: {error}");
        maxminddb::Reader::from_source(content).map(Self).map_err(wrong)
    }
}

/// Sources in order, and where the place goes.
#[derive(Debug)]
pub(in crate::pipeline) struct GeoIpParser {
    sources: Vec<Box<str>>,
    target: Box<str>,
    database: Option<std::sync::Arc<GeoDatabase>>,
}

impl GeoIpParser {
    /// Checks the configuration.
    pub(super) fn compile(
        config: &GeoIpParserConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let sources = super::sources(&config.sources, &["network.client.ip"], path, compiler);
        let target = super::name(&config.target, "target", path, compiler);
        let database = compiler.geo();
        if !compiler.names_geo() {
            let reason = "writes nothing without a database: set geo_ip_database to a file in \
                          MaxMind's format (GeoLite2-City.mmdb)";
            compiler.notes.push(ConfigError { path: path.to_owned(), reason: reason.to_owned() });
        }
        Some(Self { sources: sources?, target: target?, database })
    }

    /// Looks the first source up. What is not in the database writes nothing.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) -> Outcome {
        let Some(written) = source::first_text(arena, event, &self.sources) else { return Ok(()) };
        let Ok(address) = written.parse::<IpAddr>() else {
            let path = source::below(arena, &self.target, "invalidAddress");
            event.attributes.set(path, Value::Str(written));
            return Ok(());
        };
        let Some(database) = &self.database else { return Ok(()) };
        let found = database.0.lookup(address).and_then(|found| found.decode::<City<'_>>());
        let city = match found {
            Ok(Some(city)) => city,
            Ok(None) => return Ok(()),
            Err(_) => return Err("the GeoIP database is damaged at this address"),
        };
        let mut put = |path: &str, value: Option<Value<'b>>| {
            if let Some(value) = value {
                event.attributes.set(source::below(arena, &self.target, path), value);
            }
        };
        let text = |text: Option<&str>| Some(Value::Str(arena.alloc_str(text?)));
        let name = |names: &Names<'_>| text(names.english);
        put("continent.code", text(city.continent.code));
        put("continent.name", name(&city.continent.names));
        put("country.iso_code", text(city.country.iso_code));
        put("country.name", name(&city.country.names));
        if let Some(first) = city.subdivisions.first() {
            let code = first.iso_code.map(|code| {
                let country = city.country.iso_code.unwrap_or_default();
                let code = bumpalo::format!(in arena, "{}-{}", country, code);
                Value::Str(code.into_bump_str())
            });
            put("subdivision.iso_code", code);
            put("subdivision.name", name(&first.names));
        }
        put("city.name", name(&city.city.names));
        put("location.latitude", city.location.latitude.map(Value::Float));
        put("location.longitude", city.location.longitude.map(Value::Float));
        put("timezone", text(city.location.time_zone));
        put("ipAddress", Some(Value::Str(written)));
        Ok(())
    }
}
