//! What keeping logs costs: the table behind the ledger's `cost`.

use serde::{Deserialize, Serialize};

/// Prices in any one currency. What is not given costs nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceConfig {
    /// For people: `USD`.
    pub currency: String,
    /// For every GB (10^9 bytes) received, kept or not.
    pub ingested_per_gb: f64,
    /// For every GB an index keeps.
    pub indexed_per_gb: f64,
    /// For every million events an index keeps, by the days it keeps them. An index pays the price
    /// of the fewest days that cover its own; one that keeps for ever pays that of the most.
    pub indexed_per_million: Vec<RetentionPrice>,
}

/// The price of one retention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionPrice {
    /// Days.
    pub days: u32,
    /// Per million events.
    pub price: f64,
}
