//! `GET /api/v1/tables`: the tables, their columns, and what each covers.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::encode::json::coverage;
use crate::encode::type_name::type_name;
use crate::engine::Engine;
use crate::error::QueryError;

pub(super) async fn get(State(engine): State<Engine>) -> Result<Response, QueryError> {
    let tables: Vec<Value> = engine
        .tables()
        .await?
        .iter()
        .map(|(covered, schema)| {
            let columns: Vec<Value> = schema
                .fields()
                .iter()
                .map(|field| json!({"name": field.name(), "type": type_name(field.data_type())}))
                .collect();
            json!({"name": covered.table.name(), "columns": columns, "meta": coverage(covered)})
        })
        .collect();
    let mut response = json!({"tables": tables}).to_string().into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
