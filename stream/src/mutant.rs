//! Planted bugs. Each names a check of the protocol; in tests it can be left out, and the
//! simulation must notice. In every other build [`planted`] is `false` and the check is there.

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A unit's generation is not compared with the head's.
    Generation,
    /// A unit need not begin where its partition stands.
    FromOffset,
    /// A unit need not continue the last record of its partition.
    Parent,
    /// A claim may begin anywhere.
    ClaimOffset,
    /// "Already exists" is taken for our own record.
    Nonce,
    /// An unclear answer is taken for success.
    UnclearIsSuccess,
    /// Files of rejected units are published.
    RejectedPublished,
    /// Of several records only the last is published, under its number.
    LastOnly,
    /// Files that are replaced stay.
    RemovesForgotten,
    /// What the table has already is published again.
    Cursor,
    /// A maintenance need not know the one before it.
    MaintenanceParent,
    /// Recovery takes a snapshot that tables have not caught up with.
    SnapshotAhead,
    /// Garbage collection deletes records after the snapshot too.
    CollectsTooMuch,
    /// A store that ignores conditional creates is taken.
    Probe,
    /// Metrics are not closed when a unit ends: they come with a later one.
    MetricsLeftOpen,
    /// An attempt to send a message that failed is taken for one that succeeded.
    FailureIsSent,
    /// Files that a record names and no table has yet are taken for garbage.
    UnpublishedIsGarbage,
    /// The durable store does not fsync what it writes.
    FileNotSynced,
    /// The durable store does not fsync the directory of a new key.
    DirectoryNotSynced,
    /// The durable store writes a key in its place, and not beside it first.
    WrittenInPlace,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Whether this bug is planted on this thread.
#[cfg(test)]
pub(crate) fn planted(mutant: Mutant) -> bool {
    PLANTED.get() == Some(mutant)
}

/// Never, outside tests.
#[cfg(not(test))]
#[inline]
pub(crate) const fn planted(_: Mutant) -> bool {
    false
}

/// Plants a bug on this thread, or none.
#[cfg(test)]
pub(crate) fn plant(mutant: Option<Mutant>) {
    PLANTED.set(mutant);
}

#[cfg(test)]
impl Mutant {
    /// Every bug of the protocol: the simulation must notice them.
    pub(crate) const PROTOCOL: [Self; 14] = [
        Self::Generation,
        Self::FromOffset,
        Self::Parent,
        Self::ClaimOffset,
        Self::Nonce,
        Self::UnclearIsSuccess,
        Self::RejectedPublished,
        Self::LastOnly,
        Self::RemovesForgotten,
        Self::Cursor,
        Self::MaintenanceParent,
        Self::SnapshotAhead,
        Self::CollectsTooMuch,
        Self::Probe,
    ];

    /// Bugs around the protocol: the simulation of rows must notice them, and those of the protocol that give wrong rows.
    pub(crate) const ROWS: [Self; 5] = [
        Self::MetricsLeftOpen,
        Self::FailureIsSent,
        Self::UnpublishedIsGarbage,
        Self::LastOnly,
        Self::UnclearIsSuccess,
    ];

    /// Every bug of the durable store: its power cuts must notice them.
    pub(crate) const DISK: [Self; 3] =
        [Self::FileNotSynced, Self::DirectoryNotSynced, Self::WrittenInPlace];
}
