//! Rows -> Arrow columns, one file per table. Builders live as long as the unit.
