//! The columns of a table: those this version writes, those the store has, and what is between them.
//!
//! A store made by an older version has fewer. What is missing is recorded in the commit log before
//! the first file that has it, and the table's actor adds it, so that no reader meets a file with a
//! column that its table does not know.

use std::collections::BTreeMap;

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake_core::kernel::{Metadata, MetadataExt as _, StructField, StructType};
use schemas::table::Table;

use super::delta::{PublishedTable, TableError};
use crate::commit_log::record::Column;

/// What this version writes, as Delta fields.
pub(crate) fn of(table: Table) -> Result<Vec<StructField>, DeltaTableError> {
    let schema = table.schema();
    let fields = schema.fields().iter().map(|field| field.as_ref().try_into_kernel());
    fields.collect::<Result<_, _>>().map_err(DeltaTableError::from)
}

/// The fields of recorded columns; one that can not be read is left out.
pub(super) fn fields(columns: &[Column]) -> Vec<StructField> {
    columns.iter().filter_map(|column| serde_json::from_str(&column.field).ok()).collect()
}

/// The metadata of a table of this schema, with these columns at its end. Those that are there already
/// stay as they are.
pub(super) fn with(
    metadata: &Metadata,
    schema: &StructType,
    columns: &[Column],
) -> Result<Metadata, DeltaTableError> {
    let mut all: Vec<StructField> = schema.fields().cloned().collect();
    for column in columns {
        if schema.field(&column.name).is_none() {
            all.push(serde_json::from_str(&column.field)?);
        }
    }
    Ok(metadata.clone().with_schema(&StructType::try_new(all)?)?)
}

impl PublishedTable {
    /// The columns of the version last read, and their fields.
    fn columns(&self) -> Result<BTreeMap<String, StructField>, TableError> {
        let failed = |source| TableError::Delta { table: self.table().name(), source };
        let snapshot = self.delta().snapshot().map_err(failed)?;
        let schema = snapshot.schema();
        Ok(schema.fields().map(|field| (field.name().clone(), field.clone())).collect())
    }

    /// Columns that this version writes and the store does not have; `gained` are those the log knows of,
    /// published or not.
    ///
    /// # Errors
    /// The store has a column of another type, or needs one that this version does not write.
    pub fn missing_columns(
        &self,
        gained: &BTreeMap<String, String>,
    ) -> Result<Vec<Column>, TableError> {
        let table = self.table().name();
        let failed = |source| TableError::Delta { table, source };
        let mut there = self.columns()?;
        for (name, field) in gained {
            let field: StructField =
                serde_json::from_str(field).map_err(|error| failed(error.into()))?;
            there.entry(name.clone()).or_insert(field);
        }
        let mut missing = Vec::new();
        for field in of(self.table()).map_err(failed)? {
            match there.remove(field.name()) {
                Some(found) if found.data_type() == field.data_type() => {}
                Some(found) => {
                    return Err(TableError::Column {
                        table,
                        column: field.name().clone(),
                        reason: format!(
                            "is {} in the store, this version writes {}",
                            found.data_type(),
                            field.data_type()
                        ),
                    });
                }
                None if field.is_nullable() => {
                    let name = field.name().clone();
                    let field =
                        serde_json::to_string(&field).map_err(|error| failed(error.into()))?;
                    missing.push(Column { name, field });
                }
                None => {
                    return Err(TableError::Column {
                        table,
                        column: field.name().clone(),
                        reason: "is not in the store, and rows without it are not allowed"
                            .to_owned(),
                    });
                }
            }
        }
        match there.into_values().find(|field| !field.is_nullable()) {
            None => Ok(missing),
            Some(field) => Err(TableError::Column {
                table,
                column: field.name().clone(),
                reason: "is required by the store, and this version does not write it".to_owned(),
            }),
        }
    }
}

/// A table with these columns, as an older version would have made it.
#[cfg(test)]
pub(crate) async fn create_with(
    store: std::sync::Arc<dyn object_store::ObjectStore>,
    table: Table,
    columns: Vec<StructField>,
) -> Result<(), DeltaTableError> {
    let log_store = super::delta::log_store(store, table)?;
    super::delta::create(&log_store, table, columns).await.map(drop)
}

/// A text column.
#[cfg(test)]
pub(crate) fn text_field(name: &str, nullable: bool) -> StructField {
    StructField::new(name, deltalake_core::kernel::DataType::STRING, nullable)
}

/// The fields of a Delta schema in JSON.
#[cfg(test)]
pub(crate) fn fields_of(schema: &serde_json::Value) -> Result<Vec<StructField>, serde_json::Error> {
    let schema: StructType = serde_json::from_value(schema.clone())?;
    Ok(schema.fields().cloned().collect())
}
