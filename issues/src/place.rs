//! Which issue errors belong to whose id is not known: one they are a variant of, one of their own, or the one
//! that stands for all there is no room for.
//!
//! All of it is a function of the issues that are kept, so a worker that has read them back decides as the one
//! before it would have.

use grouping::IssueId;
use schemas::limits::{MAX_ISSUE_VARIANTS, MAX_ISSUES, MAX_TITLE_BYTES, OVERFLOW_VALUE};

use crate::issue::{Issue, Variant};
use crate::occurrence::Delta;
use crate::tracker::Tracker;

/// Where errors go.
pub(crate) struct Place {
    /// The issue, which may not be there yet.
    pub(crate) issue: String,
    /// The id they are counted under.
    pub(crate) member: String,
    /// Whether the id is new, and a variant of the issue's message.
    pub(crate) is_variant: bool,
}

impl Place {
    pub(crate) fn under(issue: String, member: &str) -> Self {
        Self { issue, member: member.to_owned(), is_variant: false }
    }
}

impl Tracker {
    /// Where these errors go.
    pub(crate) fn place(&self, raw: &str, delta: &Delta) -> Place {
        let known = self.resolve(raw);
        if self.issues.contains_key(known) {
            return Place::under(known.to_owned(), raw);
        }
        match self.varied_by(raw, delta) {
            Some(issue) => Place { is_variant: true, ..Place::under(issue.id.clone(), raw) },
            None => self.room(raw, &delta.service),
        }
    }

    /// The issue an id that is not known is a variant of.
    fn varied_by(&self, raw: &str, delta: &Delta) -> Option<&Issue> {
        let Delta { service, kind, title, .. } = delta;
        let is_mined = is_of_message(raw, service, kind, title);
        let leader = is_mined.then(|| self.miner.leader(service, kind, title));
        leader.flatten().and_then(|leader| self.get(leader))
    }

    /// Where errors of a new id go that is no variant of another.
    pub(crate) fn room(&self, raw: &str, service: &str) -> Place {
        let of_service = self.counts.get(service).copied().unwrap_or_default();
        let (is_over, is_full) =
            (of_service >= self.settings.max_per_service, self.issues.len() >= MAX_ISSUES);
        if !is_over && !is_full {
            return Place::under(raw.to_owned(), raw);
        }
        let of_service = overflow_id(service);
        let known = self.resolve(&of_service);
        if is_over && (!is_full || self.issues.contains_key(known)) {
            return Place::under(known.to_owned(), &of_service);
        }
        let of_all = overflow_of_all();
        Place::under(self.resolve(&of_all).to_owned(), &of_all)
    }

    /// Where errors were counted that came under an id.
    pub(crate) fn holder(&self, raw: &str, delta: &Delta) -> Option<&Issue> {
        let known = self.get(raw).or_else(|| self.varied_by(raw, delta));
        let of_service = known.or_else(|| self.get(&overflow_id(&delta.service)));
        of_service.or_else(|| self.get(&overflow_of_all()))
    }

    /// The issue errors found, as it begins.
    pub(crate) fn founded(&self, id: &str, delta: &Delta) -> Issue {
        let mut issue = Issue::new(id, delta, self.clock);
        let of_all = id == overflow_of_all();
        if of_all || id == overflow_id(&delta.service) {
            (issue.kind, issue.culprit) = (String::new(), String::new());
            issue.title = if of_all {
                format!("errors of further issues: there are over {MAX_ISSUES}")
            } else {
                let (service, most) = (&delta.service, self.settings.max_per_service);
                format!("errors of further issues of {service}: it has over {most}")
            };
        }
        if of_all {
            issue.service = String::new();
        }
        issue
    }

    /// Notes that an id is a part of an issue because their messages differ in a name only. An issue that stands for
    /// too many ids already counts it and forgets it: the next error asks again.
    pub(crate) fn joined(&mut self, raw: &str, id: &str, delta: &Delta) {
        let Some(issue) = self.issues.get_mut(id) else { return };
        if issue.members.contains_key(raw) {
            issue.vary(raw, Variant::of(&delta.kind, &delta.title, &delta.culprit, true));
            self.aliases.insert(raw.to_owned(), id.to_owned());
        }
    }

    /// Adds an issue.
    pub(crate) fn insert(&mut self, issue: Issue) {
        if !issue.is_overflow() {
            *self.counts.entry(issue.service.clone()).or_default() += 1;
        }
        let id = issue.id.clone();
        self.issues.insert(id.clone(), issue);
        self.learn(&id);
    }

    /// Takes an issue out.
    pub(crate) fn take_out(&mut self, id: &str) -> Option<Issue> {
        let gone = self.issues.remove(id)?;
        if !gone.is_overflow()
            && let Some(count) = self.counts.get_mut(&gone.service)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&gone.service);
            }
        }
        gone.variants.keys().chain([&gone.id]).for_each(|id| self.miner.remove(id));
        Some(gone)
    }

    /// Lets the miner know an issue's messages: its own, and those of issues that were merged into it.
    pub(crate) fn learn(&mut self, id: &str) {
        let Some(issue) = self.issues.get(id) else { return };
        let merged = issue.variants.iter().filter(|(_, variant)| !variant.is_mined);
        let merged = merged.map(|(id, variant)| (id, &variant.kind, &variant.title));
        for (id, kind, title) in merged.chain([(&issue.id, &issue.kind, &issue.title)]) {
            if is_of_message(id, &issue.service, kind, title) {
                self.miner.insert(&issue.service, kind, id, title);
            }
        }
    }
}

impl Variant {
    /// As it is kept: of a long message its first part.
    pub(crate) fn of(kind: &str, title: &str, culprit: &str, is_mined: bool) -> Self {
        let title = title[..title.floor_char_boundary(MAX_TITLE_BYTES)].to_owned();
        Self { kind: kind.to_owned(), title, culprit: culprit.to_owned(), is_mined }
    }
}

impl Issue {
    /// Whether it stands for errors there is no room for. Their rows have ids it does not know.
    pub fn is_overflow(&self) -> bool {
        self.id == overflow_id(&self.service) || self.id == overflow_of_all()
    }

    /// Keeps what an id it stands for says, if there is room: half of it is for decisions.
    pub(crate) fn vary(&mut self, id: &str, variant: Variant) {
        let most = if variant.is_mined { MAX_ISSUE_VARIANTS / 2 } else { MAX_ISSUE_VARIANTS };
        if self.variants.len() < most && id != self.id {
            self.variants.insert(id.to_owned(), variant);
        }
    }
}

/// Whether an id is that of a service, a type and a message alone. What a rule, a fingerprint or a stack has made
/// was made on purpose.
fn is_of_message(id: &str, service: &str, kind: &str, message: &str) -> bool {
    IssueId::of_message(service, kind, message).hex().as_str() == id
}

/// The issue for errors of a service that there is no room for.
pub(crate) fn overflow_id(service: &str) -> String {
    IssueId::of_name(&["further issues of", service]).to_string()
}

/// The issue for errors of all services that there is no room for.
pub(crate) fn overflow_of_all() -> String {
    IssueId::of_name(&["further issues"]).to_string()
}

/// Whether a member is an id, rather than the sum of those there was no room for.
pub(crate) fn is_id(member: &str) -> bool {
    member != OVERFLOW_VALUE
}
