//! What every decoder fills: the good records, the refused ones, one numbering for both.

use std::fmt;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::{MAX_EXPANDED_MESSAGE_BYTES, MAX_RECORDS_PER_MESSAGE};

use super::Refusal;
use crate::event::LogEvent;
use crate::point::Point;
use crate::span::Span;

/// Records room is made for at once.
const MAX_RESERVED: usize = 256;

/// A record that accounts for a share of its message.
pub(super) trait Item {
    fn set_bytes(&mut self, bytes: usize);
}

impl Item for LogEvent<'_> {
    fn set_bytes(&mut self, bytes: usize) {
        self.bytes = bytes;
    }
}

impl Item for Span<'_> {
    fn set_bytes(&mut self, bytes: usize) {
        self.bytes = bytes;
    }
}

impl Item for Point<'_> {
    fn set_bytes(&mut self, bytes: usize) {
        self.bytes = bytes;
    }
}

/// Records of one message under way.
pub(super) struct Batch<'b, T> {
    pub(super) arena: &'b Bump,
    items: BumpVec<'b, T>,
    refused: BumpVec<'b, Refusal<'b>>,
    next: i32,
    /// Bytes this message may still expand to.
    expansion: usize,
}

impl<'b, T: Item> Batch<'b, T> {
    pub(super) fn new(arena: &'b Bump) -> Self {
        Self {
            arena,
            items: BumpVec::new_in(arena),
            refused: BumpVec::new_in(arena),
            next: 0,
            expansion: MAX_EXPANDED_MESSAGE_BYTES,
        }
    }

    /// The number of the next record, good or bad.
    pub(super) fn number(&mut self) -> Result<i32, Refusal<'b>> {
        self.admit(1)?;
        let number = self.next;
        self.next += 1;
        Ok(number)
    }

    /// Refuses the message before `count` records are made of it that would be too many.
    pub(super) fn admit(&self, count: usize) -> Result<(), Refusal<'b>> {
        if count.saturating_add(self.next as usize) > MAX_RECORDS_PER_MESSAGE {
            let detail = format_args!("more than {MAX_RECORDS_PER_MESSAGE} records in one message");
            return Err(Refusal::whole(self.arena, "too_many_records", detail));
        }
        Ok(())
    }

    /// Accounts for bytes that one record repeats of what the message holds once.
    pub(super) fn expand(&mut self, bytes: usize) -> Result<(), Refusal<'b>> {
        match self.expansion.checked_sub(bytes) {
            Some(left) => {
                self.expansion = left;
                Ok(())
            }
            None => {
                let detail = format_args!(
                    "its records repeat more than {MAX_EXPANDED_MESSAGE_BYTES} bytes of shared attributes or strings; send smaller batches"
                );
                Err(Refusal::whole(self.arena, "too_large", detail))
            }
        }
    }

    /// Makes room for records that are about to come. `count` is the sender's word: not believed
    /// beyond what costs little.
    pub(super) fn reserve(&mut self, count: usize) {
        self.items.reserve(count.min(MAX_RESERVED));
    }

    pub(super) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// Refuses one record.
    pub(super) fn refuse(
        &mut self,
        index: i32,
        reason: &'static str,
        detail: fmt::Arguments<'_>,
        bytes: &'b [u8],
    ) {
        let refusal = Refusal { index, bytes, ..Refusal::whole(self.arena, reason, detail) };
        self.refused.push(refusal);
    }

    /// The records, each with its even share of the payload; the first takes the remainder.
    pub(super) fn finish(mut self, payload: usize) -> (BumpVec<'b, T>, BumpVec<'b, Refusal<'b>>) {
        let records = self.next.max(1) as usize;
        let share = payload / records;
        for item in &mut self.items {
            item.set_bytes(share);
        }
        if let Some(first) = self.items.first_mut() {
            first.set_bytes(share + payload % records);
        }
        (self.items, self.refused)
    }
}
