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
    /// Every bug.
    pub(crate) const ALL: [Self; 13] = [
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
    ];
}
