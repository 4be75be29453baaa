//! The fold of an operator's decisions.

use schemas::table::Table;

use super::super::record::{Decision, Operator};
use super::{Head, Rejection, not_next};

impl Head {
    pub(super) fn check_operator(&self, operator: &Operator) -> Result<(), Rejection> {
        if operator.adds.iter().any(|add| add.table != Table::Ledger) {
            return Err(Rejection::Malformed("a file of a table that is not the ledger"));
        }
        if let Decision::AdoptGroup { group } = &operator.decision
            && group.is_empty()
        {
            return Err(Rejection::Malformed("no group"));
        }
        let Decision::AcceptGap { partition, from_offset, to_offset } = &operator.decision else {
            return Ok(());
        };
        let Some(head) = self.partitions.get(partition) else {
            return Err(Rejection::Malformed("a partition nobody has claimed"));
        };
        if head.next_offset != *from_offset {
            return Err(not_next(partition, head, *from_offset, head.last_seq));
        }
        if to_offset <= from_offset {
            return Err(Rejection::Malformed("a gap without offsets"));
        }
        Ok(())
    }

    /// Moves the partition past the gap. Whoever works on it meets a parent it does not know and
    /// must read the log before it goes on.
    pub(super) fn fold_operator(
        &mut self,
        seq: u64,
        operator: &Operator,
    ) -> Vec<(usize, Rejection)> {
        if let Err(rejection) = self.check_operator(operator) {
            return vec![(0, rejection)];
        }
        if !operator.adds.is_empty() {
            self.tables.entry(Table::Ledger).or_default().last_add_seq = Some(seq);
        }
        if let Decision::AdoptGroup { group } = &operator.decision {
            self.group = Some(group.clone());
        }
        if let Decision::AcceptGap { partition, to_offset, .. } = &operator.decision
            && let Some(head) = self.partitions.get_mut(partition)
        {
            head.next_offset = *to_offset;
            head.last_seq = seq;
        }
        Vec::new()
    }
}
