//! The oracle: the answers as they must come out, counted from the story itself and from nothing
//! that went through the engine.

use std::collections::BTreeMap;

use super::shop::{Access, Kind, Service, Shop, Span, Text};

/// One service's requests.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Requests {
    pub(super) count: u64,
    pub(super) errors: u64,
    /// Ascending, nanoseconds.
    pub(super) durations: Vec<i64>,
}

/// A service's part of the log-based metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Served {
    pub(super) count: u64,
    /// Sum of the durations, milliseconds.
    pub(super) sum_ms: f64,
    /// Ascending, milliseconds.
    pub(super) durations_ms: Vec<f64>,
}

/// Counted from the story.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    pub(super) spans: u64,
    pub(super) logs: u64,
    /// OTLP metric points that are sent: three per measurement.
    pub(super) points: u64,
    /// Requests to the shop, seen from outside.
    pub(super) customers: u64,
    pub(super) requests: BTreeMap<&'static str, Requests>,
    /// Access logs without health checks, by service and status class (`2xx`).
    pub(super) by_class: BTreeMap<(&'static str, String), u64>,
    /// Access logs without health checks, by service.
    pub(super) served: BTreeMap<&'static str, Served>,
    pub(super) health_checks: u64,
    /// The slowest request: its spans.
    pub(super) slowest: Vec<Span>,
    /// Its application logs: these are never sampled.
    pub(super) slowest_logs: u64,
    /// Its access logs: kept or dropped together.
    pub(super) slowest_access: u64,
}

impl Truth {
    pub(super) fn of(shop: &Shop) -> Self {
        let roots = || shop.spans.iter().filter(|span| span.parent == 0);
        let slowest = roots().max_by_key(|span| span.duration_ns).map_or(0, |span| span.trace);
        let of_slowest = |access: bool| {
            let logs = shop
                .logs
                .iter()
                .filter(|log| log.context.is_some_and(|(trace, _)| trace == slowest));
            logs.filter(|log| matches!(log.text, Text::Access(_)) == access).count() as u64
        };
        let mut truth = Self {
            spans: shop.spans.len() as u64,
            logs: shop.logs.len() as u64,
            points: 3 * shop.measured.len() as u64,
            customers: roots().count() as u64,
            requests: requests(shop),
            by_class: BTreeMap::new(),
            served: BTreeMap::new(),
            health_checks: 0,
            slowest: shop.spans.iter().filter(|span| span.trace == slowest).cloned().collect(),
            slowest_logs: of_slowest(false),
            slowest_access: of_slowest(true),
        };
        for log in &shop.logs {
            if let Text::Access(access) = &log.text {
                truth.count_access(log.service, access);
            }
        }
        for served in truth.served.values_mut() {
            served.durations_ms.sort_by(f64::total_cmp);
        }
        truth
    }

    fn count_access(&mut self, service: Service, access: &Access) {
        if access.is_health_check() {
            self.health_checks += 1;
            return;
        }
        let class = format!("{}xx", access.status / 100);
        *self.by_class.entry((service.name(), class)).or_default() += 1;
        let served = self.served.entry(service.name()).or_default();
        served.count += 1;
        served.sum_ms += access.duration_ms();
        served.durations_ms.push(access.duration_ms());
    }

    /// Access logs without health checks.
    pub(super) fn access_logs(&self) -> u64 {
        self.served.values().map(|served| served.count).sum()
    }
}

fn requests(shop: &Shop) -> BTreeMap<&'static str, Requests> {
    let mut all: BTreeMap<&'static str, Requests> = BTreeMap::new();
    for span in shop.spans.iter().filter(|span| span.kind == Kind::Server) {
        let requests = all.entry(span.service.name()).or_default();
        requests.count += 1;
        requests.errors += u64::from(span.failure.is_some());
        requests.durations.push(span.duration_ns);
    }
    all.values_mut().for_each(|requests| requests.durations.sort_unstable());
    all
}

/// Whether `value` may stand for the 99th percentile of `sorted`: within two percent of a value whose
/// rank is within half a percent of the exact one. A sketch promises one percent of a value; two
/// ways of counting ranks differ by one.
pub(super) fn is_p99(value: f64, sorted: &[f64]) -> bool {
    let slack = (sorted.len() / 200).max(1);
    let rank = sorted.len().saturating_sub(1) * 99 / 100;
    let low = sorted.get(rank.saturating_sub(slack));
    let high = sorted.get((rank + slack).min(sorted.len().saturating_sub(1)));
    match (low, high) {
        (Some(low), Some(high)) => (low * 0.98..=high * 1.02).contains(&value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::story;
    use super::*;

    const END: i64 = 1_767_225_600_000_000_000;

    #[test]
    fn the_same_seed_tells_the_same_story_and_another_one_another() {
        let (one, two, other) = (story::tell(7, END), story::tell(7, END), story::tell(8, END));
        assert_eq!(one.spans, two.spans);
        assert_eq!(one.logs, two.logs);
        assert_ne!(one.spans.len(), other.spans.len());
    }

    #[test]
    fn the_story_has_all_it_promises() {
        let shop = story::tell(7, END);
        let truth = Truth::of(&shop);
        assert!(truth.customers > 4_000, "{}", truth.customers);
        assert_eq!(truth.health_checks, 6 * 120);
        assert_eq!(truth.requests.len(), 6);
        assert!(truth.requests.values().all(|requests| requests.errors > 0 || requests.count > 50));
        assert!(truth.requests["payment"].errors > 3);
        assert!(
            truth.slowest.iter().any(|span| span.service == Service::Inventory),
            "the slow database"
        );
        assert!(truth.slowest_logs > 0 && truth.slowest_access > 2);
        assert!(truth.by_class.keys().any(|(_, class)| class == "5xx"));
        let ended = shop.spans.iter().filter(|span| span.parent == 0);
        let measured: u64 = shop.measured.iter().map(|measured| measured.orders).sum();
        assert!(measured > 100 && ended.count() as u64 == truth.customers);
    }

    #[test]
    fn every_parent_is_there_and_encloses_its_child() {
        let shop = story::tell(7, END);
        let by_id: std::collections::HashMap<(u128, u64), &Span> =
            shop.spans.iter().map(|span| ((span.trace, span.id), span)).collect();
        assert_eq!(by_id.len(), shop.spans.len(), "ids are unique");
        for span in shop.spans.iter().filter(|span| span.parent != 0) {
            let parent = by_id[&(span.trace, span.parent)];
            assert!(parent.start_ns <= span.start_ns);
            assert!(parent.start_ns + parent.duration_ns >= span.start_ns + span.duration_ns);
        }
        for log in &shop.logs {
            assert!(log.context.is_none_or(|context| by_id.contains_key(&context)));
        }
    }

    #[test]
    fn a_percentile_far_off_is_refused() {
        let sorted: Vec<f64> = (1..=1_000).map(f64::from).collect();
        assert!(is_p99(990.0, &sorted) && is_p99(1_000.0, &sorted));
        assert!(!is_p99(900.0, &sorted) && !is_p99(1_100.0, &sorted) && !is_p99(f64::NAN, &sorted));
        assert!(!is_p99(1.0, &[]));
    }
}
