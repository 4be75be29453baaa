//! Templates that differ in a word and belong together: `no such user ann on host`, `no such user joe on host`.
//!
//! Whether a word is a value can only be told from many messages, in their order: that is state. An
//! issue id does not depend on it; the miner says which *later* id stands for the same template as
//! an *earlier* one, so that whoever keeps issues makes the later an alias of the earlier one. The
//! first id of a cluster leads it for ever; an alias, once given, stays.
//!
//! The method is Drain's (He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree",
//! ICWS 2017): templates of one length and one first word are compared word by word. Unlike there the
//! values are masked before, and two templates are one only if few words differ: a wrong merge
//! hides an error, a missed one shows it twice.

use hashbrown::HashMap;
use schemas::limits::{MAX_TEMPLATE_CLUSTERS, MAX_TEMPLATE_CLUSTERS_PER_LEAF};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::issue_id::IssueId;
use crate::message::{VALUE_MARK, WORD_END};

/// Stands for a word that changes.
const WILDCARD: u64 = 0;
/// Of so many words one may differ: fewer are too few to tell a name from another error.
const WORDS_PER_DIFFERENCE: usize = 5;

#[derive(Debug)]
struct Cluster {
    leader: IssueId,
    /// Hashes of words; [`WILDCARD`] where they differ.
    words: Box<[u64]>,
}

/// Clusters of templates, bounded. A few hundred bytes each.
#[derive(Debug, Default)]
pub struct Miner {
    clusters: Vec<Cluster>,
    /// By service, length and first word.
    leaves: HashMap<u64, Vec<u32>>,
    /// Scratch: the words of one template.
    words: Vec<u64>,
}

impl Miner {
    /// The id that stands for `id`: that of the first template like it, or its own. `identity` is
    /// what [`crate::message::identity`] gives. Beyond the bounds every new template stands
    /// for itself.
    pub fn assign(&mut self, service: &str, id: IssueId, identity: &[u8]) -> IssueId {
        self.read(identity);
        if self.words.is_empty() {
            return id;
        }
        let first = self.words.first().copied().unwrap_or_default();
        let mut leaf = [0u8; 16];
        leaf[..8].copy_from_slice(&first.to_le_bytes());
        leaf[8..].copy_from_slice(&(self.words.len() as u64).to_le_bytes());
        let leaf = xxh3_64_with_seed(&leaf, xxh3_64(service.as_bytes()));
        let members = self.leaves.get(&leaf).map_or(&[][..], Vec::as_slice);
        let mut best: Option<(usize, u32)> = None;
        for member in members {
            let Some(cluster) = self.clusters.get(*member as usize) else { continue };
            let same = cluster.words.iter().zip(&self.words).filter(|(a, b)| a == b).count();
            if best.is_none_or(|(most, _)| same > most) {
                best = Some((same, *member));
            }
        }
        // A wildcard is a difference, too: they can not become more until everything matches.
        let needed = self.words.len() - self.words.len() / WORDS_PER_DIFFERENCE;
        if let Some((_, member)) = best.filter(|(same, _)| *same >= needed) {
            let cluster = &mut self.clusters[member as usize];
            for (word, other) in cluster.words.iter_mut().zip(&self.words) {
                if word != other {
                    *word = WILDCARD;
                }
            }
            return cluster.leader;
        }
        let fits = members.len() < MAX_TEMPLATE_CLUSTERS_PER_LEAF;
        if fits && self.clusters.len() < MAX_TEMPLATE_CLUSTERS {
            self.leaves.entry(leaf).or_default().push(self.clusters.len() as u32);
            self.clusters.push(Cluster { leader: id, words: self.words.as_slice().into() });
        }
        id
    }

    /// Clusters so far.
    pub fn len(&self) -> usize {
        self.clusters.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty()
    }

    /// Splits an identity into hashes of its words.
    fn read(&mut self, identity: &[u8]) {
        self.words.clear();
        let mut rest = identity;
        while let Some(first) = rest.first() {
            let length = match first {
                &VALUE_MARK => 1,
                _ => memchr::memchr(WORD_END, rest).map_or(rest.len(), |end| end + 1),
            };
            self.words.push(xxh3_64(&rest[..length]).max(1));
            rest = &rest[length..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bumpalo::Bump;

    fn leaders(messages: &[&str]) -> Vec<usize> {
        let (mut miner, arena) = (Miner::default(), Bump::new());
        let ids = messages.iter().enumerate().map(|(at, message)| {
            let mut identity = bumpalo::collections::Vec::new_in(&arena);
            crate::message::identity(message, &mut identity);
            let id = IssueId::new(0, (at as u128) << 8);
            miner.assign("shop", id, &identity).get() as usize
        });
        ids.collect()
    }

    #[test]
    fn templates_that_differ_in_one_of_many_words_are_one_and_the_first_leads() {
        let messages = [
            "login of user ann was refused by ldap",
            "login of user joe was refused by ldap",
            "login of user eve was refused by ldap",
            "login of group ann was accepted by ldap",
            "other words",
        ];
        assert_eq!(leaders(&messages), [0, 0, 0, 3, 4]);
    }

    #[test]
    fn short_templates_are_never_one() {
        assert_eq!(leaders(&["cannot read file", "cannot write file"]), [0, 1]);
        assert_eq!(leaders(&["", "x"]), [0, 1]);
    }

    #[test]
    fn a_wildcard_does_not_grow_until_it_matches_everything() {
        let messages = ["a b c d e", "a x c d e", "a x y d e", "a x y z e", "a q r s e"];
        assert_eq!(leaders(&messages), [0, 0, 2, 2, 4]);
    }

    #[test]
    fn clusters_are_bounded() {
        let mut miner = Miner::default();
        for n in 0..2 * MAX_TEMPLATE_CLUSTERS {
            let text = format!("w{n} x ");
            miner.assign("shop", IssueId::new(0, n as u128), text.as_bytes());
        }
        assert_eq!(miner.len(), MAX_TEMPLATE_CLUSTERS);
        assert!(miner.leaves.len() <= MAX_TEMPLATE_CLUSTERS);
    }
}
