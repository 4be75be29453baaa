//! The order of a service's versions: by when each was first seen, not by their names (Datadog's regression
//! detection does the same).

use std::collections::BTreeMap;

use schemas::limits::{MAX_SERVICE_VERSIONS, MAX_VERSIONED_SERVICES};

use crate::Micros;

/// First event time of every version, per service.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Versions(BTreeMap<String, BTreeMap<String, Micros>>);

impl Versions {
    /// A version was seen at this event time. Beyond the limit the oldest version of the service is forgotten;
    /// of services beyond theirs nothing is remembered.
    pub fn see(&mut self, service: &str, version: &str, at: Micros) {
        if version.is_empty() {
            return;
        }
        if !self.0.contains_key(service) {
            if self.0.len() >= MAX_VERSIONED_SERVICES {
                return;
            }
            self.0.insert(service.to_owned(), BTreeMap::new());
        }
        let Some(known) = self.0.get_mut(service) else { return };
        match known.get_mut(version) {
            Some(first) => *first = at.min(*first),
            None => drop(known.insert(version.to_owned(), at)),
        }
        if known.len() > MAX_SERVICE_VERSIONS
            && let Some(oldest) = known.iter().min_by_key(|(_, first)| **first)
        {
            let oldest = oldest.0.clone();
            known.remove(&oldest);
        }
    }

    /// When a version was first seen.
    pub fn first_seen(&self, service: &str, version: &str) -> Option<Micros> {
        self.0.get(service)?.get(version).copied()
    }

    /// Whether `version` came after all of `known`. Of a version nobody remembers it is not known: it did not.
    pub fn is_newer<'v>(
        &self,
        service: &str,
        version: &str,
        known: impl IntoIterator<Item = &'v str>,
    ) -> bool {
        let Some(first) = self.first_seen(service, version) else { return false };
        let mut others = known.into_iter().filter_map(|other| self.first_seen(service, other));
        others.all(|other| other < first)
    }

    /// Whether the service has a version that came after all of `known`.
    pub fn has_newer<'v>(
        &self,
        service: &str,
        known: impl IntoIterator<Item = &'v str> + Clone,
    ) -> bool {
        let Some(versions) = self.0.get(service) else { return false };
        versions.keys().any(|version| self.is_newer(service, version, known.clone()))
    }
}
