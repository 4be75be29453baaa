//! SQL functions for telemetry, one file each, and caps on built-in ones that could exhaust memory.

mod attr;
mod attr_num;
mod capped;
mod current_setting;
mod has_token;
mod map_lookup;
mod merge_sketch;
mod percentile;
mod quantile;
mod search;
mod sketch_quantile;
mod sketch_state;
mod tag;
mod time_bucket;
pub(crate) mod to_json;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry as _;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::prelude::SessionContext;

pub use self::search::search_rows;

/// Adds every function to a session.
pub(crate) fn register(context: &mut SessionContext) -> Result<()> {
    context.register_function_rewrite(Arc::new(search::Rewrite))?;
    // Shared from here on: the session's own methods, not those of the registry.
    let context: &SessionContext = context;
    capped::register(context);
    context.register_udf(ScalarUDF::from(attr::Attr::new()));
    context.register_udf(ScalarUDF::from(attr_num::AttrNum::new()));
    context.register_udf(ScalarUDF::from(current_setting::CurrentSetting::new()));
    context.register_udf(ScalarUDF::from(search::Search::new()));
    context.register_udf(ScalarUDF::from(tag::Tag::new()));
    context.register_udf(ScalarUDF::from(has_token::HasToken::new()));
    context.register_udf(ScalarUDF::from(sketch_quantile::SketchQuantile::new()));
    context.register_udf(ScalarUDF::from(time_bucket::TimeBucket::new()));
    context.register_udf(ScalarUDF::from(to_json::ToJson::new()));
    for percentile in percentile::ALL {
        context.register_udaf(AggregateUDF::from(percentile::Percentile::new(percentile)));
    }
    context.register_udaf(AggregateUDF::from(quantile::Quantile::new()));
    context.register_udaf(AggregateUDF::from(merge_sketch::MergeSketch::new()));
    Ok(())
}
