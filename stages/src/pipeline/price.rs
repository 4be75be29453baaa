//! What keeping events costs, or would have cost.

use schemas::ledger::Action;

use super::config::{ConfigError, IndexConfig, PriceConfig};
use crate::tally::Count;

const BYTES_PER_GB: f64 = 1e9;
const MILLION: f64 = 1e6;

/// The compiled price table.
#[derive(Debug)]
pub(super) struct Prices {
    ingested_per_byte: f64,
    indexed_per_byte: f64,
    /// Index and its price an event, in the order of the indexes.
    indexes: Vec<(Box<str>, f64)>,
}

impl Prices {
    /// What these events cost: receiving them, keeping them, or what keeping them would have cost had
    /// `rule` (`index/filter`) not excluded them. `None` for what has no price.
    pub(super) fn cost(&self, action: Action, rule: &str, count: Count) -> Option<f64> {
        let index = match action {
            Action::Received => return Some(count.bytes as f64 * self.ingested_per_byte),
            Action::Indexed => rule,
            Action::Excluded => rule.split_once('/').map_or(rule, |(index, _)| index),
            _ => return None,
        };
        let (_, per_event) = self.indexes.iter().find(|(name, _)| **name == *index)?;
        Some(count.events as f64 * per_event + count.bytes as f64 * self.indexed_per_byte)
    }
}

/// Compiles the table, or says what is wrong with it.
pub(super) fn compile(
    config: Option<&PriceConfig>,
    indexes: &[IndexConfig],
    errors: &mut Vec<ConfigError>,
) -> Option<Prices> {
    let config = config?;
    let amounts =
        [("ingested_per_gb", config.ingested_per_gb), ("indexed_per_gb", config.indexed_per_gb)];
    let by_days = config.indexed_per_million.iter().enumerate();
    let by_days = by_days.map(|(i, by)| (format!("indexed_per_million[{i}].price"), by.price));
    let all = amounts.map(|(field, price)| (field.to_owned(), price)).into_iter().chain(by_days);
    for (field, price) in all {
        if !(price.is_finite() && price >= 0.0) {
            let reason = format!("a price is a number from 0, not {price}");
            errors.push(ConfigError { path: format!("prices.{field}"), reason });
        }
    }
    let mut prices: Vec<(u32, f64)> =
        config.indexed_per_million.iter().map(|by| (by.days, by.price)).collect();
    prices.sort_by_key(|(days, _)| *days);
    let per_event = |index: &IndexConfig| {
        let days = index.retention_days().unwrap_or(u32::MAX);
        let covering = prices.iter().find(|(covered, _)| *covered >= days);
        covering.or(prices.last()).map_or(0.0, |(_, price)| price / MILLION)
    };
    Some(Prices {
        ingested_per_byte: config.ingested_per_gb / BYTES_PER_GB,
        indexed_per_byte: config.indexed_per_gb / BYTES_PER_GB,
        indexes: indexes.iter().map(|i| (i.name.as_str().into(), per_event(i))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::config::Config;

    #[test]
    fn an_index_pays_the_price_of_the_retention_that_covers_its_own() {
        let config: Config = serde_yaml_ng::from_str(
            r#"
prices:
  currency: USD
  ingested_per_gb: 0.10
  indexed_per_gb: 0.5
  indexed_per_million: [{days: 30, price: 2.5}, {days: 7, price: 1.25}]
indexes:
  - {name: week, num_retention_days: 5}
  - {name: long, num_retention_days: 90}
  - {name: ever}
"#,
        )
        .expect("valid YAML");
        let mut errors = Vec::new();
        let prices = compile(config.prices.as_ref(), &config.indexes, &mut errors).expect("prices");
        let count = Count { events: 2_000_000, bytes: 4_000_000_000 };
        let cost = |action, rule| prices.cost(action, rule, count);
        assert_eq!(cost(Action::Indexed, "week"), Some(2.0 * 1.25 + 2.0));
        assert_eq!(cost(Action::Excluded, "week/noise"), Some(2.0 * 1.25 + 2.0));
        assert_eq!(cost(Action::Indexed, "long"), Some(2.0 * 2.5 + 2.0));
        assert_eq!(cost(Action::Indexed, "ever"), Some(2.0 * 2.5 + 2.0));
        assert_eq!(cost(Action::Received, ""), Some(0.4));
        assert_eq!(cost(Action::Excluded, "no_index"), None, "no index would have kept them");
        assert_eq!(cost(Action::DeadLetter, "json"), None);
    }

    #[test]
    fn a_price_that_is_no_price_is_refused_by_field() {
        let config = PriceConfig { ingested_per_gb: -1.0, ..PriceConfig::default() };
        let mut errors = Vec::new();
        compile(Some(&config), &[], &mut errors);
        assert_eq!(errors[0].path, "prices.ingested_per_gb");
    }
}
