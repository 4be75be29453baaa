//! The pipeline on real stores and logs, fed by records such as the first one writes.
