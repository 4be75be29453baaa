//! Exit codes: people script against them.

/// Done; a signal that was drained cleanly counts as done.
pub const OK: u8 = 0;
/// Failed while running: a role stopped by itself, a drain was incomplete, a query was refused, an
/// answer of the demo was wrong.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong. Nothing was started.
pub const USAGE: u8 = 2;
/// `audit` and `fsck`: nothing can be said, because something could not be read.
pub const UNCHECKED: u8 = 2;
/// Something could not be started or reached: a port in use, the data directory locked, Kafka away.
pub const UNAVAILABLE: u8 = 3;
/// The worker needs a person's decision before it can go on; the message names the command.
pub const UNDECIDED: u8 = 4;
/// A second signal ended the drain early. Nothing acknowledged is lost: the next start recovers.
pub const FORCED: u8 = 130;
