//! The machine as a whole: what it says of stories told to it in any order.

use grouping::IssueId;
use proptest::prelude::*;
use search::Query;

use crate::decision::{Decided, Decision, Undecidable};
use crate::issue::State;
use crate::message::Format;
use crate::monitor::Evaluation;
use crate::occurrence::{Deltas, Occurrence};
use crate::outbox::{AlertKind, Attempt, Message};
use crate::regroup::Moves;
use crate::settings::{Impact, Recipient, Settings};
use crate::tracker::Tracker;
use crate::{DAY, HOUR, MINUTE, Micros, SECOND};

/// A Monday at noon.
const NOON: Micros = 1_772_452_800 * SECOND;

fn recipient(name: &str, filter: &str) -> Recipient {
    let filter = Query::parse(filter).expect("a query");
    Recipient { name: name.to_owned(), format: Format::Webhook, filter, kinds: Vec::new() }
}

fn tracker() -> Tracker {
    Tracker::new(Settings { recipients: vec![recipient("hook", "")], ..Settings::default() })
}

fn error(at: Micros, version: &str) -> Occurrence<'_> {
    Occurrence {
        at,
        service: "shop",
        env: "prod",
        version,
        kind: "E",
        message: "m",
        ..Occurrence::default()
    }
}

fn unit(id: &str, errors: &[Occurrence<'_>]) -> Deltas {
    let mut deltas = Deltas::default();
    errors.iter().for_each(|error| deltas.add(id, error));
    deltas
}

/// One unit, and the time it came.
fn come(tracker: &mut Tracker, id: &str, version: &str, at: Micros) {
    tracker.apply(&unit(id, &[error(at, version)]), at);
    tracker.tick(at);
}

fn messages(tracker: &Tracker) -> Vec<&Message> {
    tracker.outbox.pending().collect()
}

fn kinds(tracker: &Tracker) -> Vec<&str> {
    let mut kinds: Vec<&str> = messages(tracker).iter().map(|m| m.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds
}

fn decide(tracker: &mut Tracker, at: Micros, decision: &Decision) -> Result<(), Undecidable> {
    tracker.decide(&Decided { decision, at, by: "ann", reason: "because" })
}

fn state(issue: &str, state: State) -> Decision {
    Decision::State { issue: issue.to_owned(), state }
}

#[test]
fn a_new_kind_of_error_is_told_once() {
    let mut tracker = tracker();
    for minute in 0..50 {
        come(&mut tracker, "a", "1", NOON + minute * MINUTE);
    }
    assert_eq!(kinds(&tracker), ["new_issue"]);
    come(&mut tracker, "b", "1", NOON + HOUR);
    assert_eq!(kinds(&tracker), ["new_issue", "new_issue"]);
    let issue = tracker.get("a").expect("there");
    assert_eq!((issue.seen.count, issue.state, issue.title.as_str()), (50, State::ForReview, "m"));
}

#[test]
fn a_resolved_issue_comes_back_in_a_newer_version_only_and_is_told_once() {
    let mut tracker = tracker();
    come(&mut tracker, "a", "2", NOON);
    come(&mut tracker, "other", "3-rc", NOON - 10 * MINUTE);
    decide(&mut tracker, NOON + MINUTE, &state("a", State::Resolved)).expect("known");
    // The version that has it, and one that is older by when it was first seen.
    come(&mut tracker, "a", "2", NOON + 2 * MINUTE);
    come(&mut tracker, "a", "3-rc", NOON + 3 * MINUTE);
    assert_eq!(tracker.get("a").expect("there").state, State::Resolved);
    come(&mut tracker, "a", "1-hotfix", NOON + 4 * MINUTE);
    come(&mut tracker, "a", "1-hotfix", NOON + 5 * MINUTE);
    let issue = tracker.get("a").expect("there");
    assert_eq!((issue.state, issue.seen.count), (State::ForReview, 5));
    let regression = issue.regression.clone().expect("noted");
    assert_eq!((regression.version.as_str(), regression.resolved_at), ("1-hotfix", NOON + MINUTE));
    assert_eq!(kinds(&tracker), ["new_issue", "new_issue", "regression"]);
}

#[test]
fn without_versions_any_error_after_the_resolution_brings_an_issue_back() {
    let mut tracker = tracker();
    come(&mut tracker, "a", "", NOON);
    decide(&mut tracker, NOON + MINUTE, &state("a", State::Resolved)).expect("known");
    come(&mut tracker, "a", "", NOON + MINUTE);
    assert_eq!(tracker.get("a").expect("there").state, State::Resolved, "it happened before");
    come(&mut tracker, "a", "", NOON + 2 * MINUTE);
    assert_eq!(tracker.get("a").expect("there").state, State::ForReview);
}

#[test]
fn late_errors_count_and_amend_first_seen_and_alarm_nobody() {
    let mut tracker = tracker();
    come(&mut tracker, "a", "1", NOON);
    decide(&mut tracker, NOON - 5 * HOUR, &state("a", State::Resolved)).expect("known");
    tracker.apply(&unit("a", &[error(NOON - 3 * HOUR, "9")]), NOON);
    tracker.apply(&unit("b", &[error(NOON - DAY, "1")]), NOON);
    tracker.tick(NOON);
    assert_eq!(kinds(&tracker), ["new_issue"]);
    let issue = tracker.get("a").expect("there");
    assert_eq!((issue.seen.first, issue.late, issue.seen.count), (NOON - 3 * HOUR, 1, 2));
    assert_eq!((issue.state, issue.first_version.as_str()), (State::Resolved, "9"));
    assert_eq!(tracker.get("b").expect("there").late, 1);
}

#[test]
fn an_ignored_issue_counts_and_is_not_told() {
    let mut tracker = tracker();
    come(&mut tracker, "a", "1", NOON);
    decide(&mut tracker, NOON, &state("a", State::Ignored)).expect("known");
    tracker.settings.high_impact = Impact { events: Some(2), ..Impact::default() };
    for minute in 1..100 {
        come(&mut tracker, "a", "2", NOON + minute * MINUTE);
    }
    assert_eq!(kinds(&tracker), ["new_issue"]);
    assert_eq!(tracker.get("a").expect("there").seen.count, 100);
}

#[test]
fn quiet_issues_are_resolved_by_the_clock_of_the_records() {
    let mut tracker = tracker();
    come(&mut tracker, "a", "", NOON);
    come(&mut tracker, "b", "", NOON + 13 * DAY);
    assert_eq!(tracker.get("a").expect("there").state, State::ForReview);
    come(&mut tracker, "b", "", NOON + 14 * DAY + HOUR);
    assert_eq!(tracker.get("a").expect("there").state, State::Resolved);
    assert_eq!(tracker.get("b").expect("there").state, State::ForReview);
    let rows = tracker.take_changes(NOON);
    assert_eq!(rows.iter().filter(|row| row.what == "auto_resolved").count(), 1);
}

#[test]
fn an_issue_of_an_old_version_is_resolved_when_a_newer_one_does_without_it() {
    let mut tracker = tracker();
    come(&mut tracker, "a", "1", NOON);
    come(&mut tracker, "b", "2", NOON + DAY);
    come(&mut tracker, "a", "1", NOON + 14 * DAY);
    come(&mut tracker, "a", "1", NOON + 15 * DAY);
    assert_eq!(tracker.get("a").expect("there").state, State::Resolved);
    // Its version was first seen 14 days ago, too, but no newer one is known.
    assert_eq!(tracker.get("b").expect("there").state, State::ForReview);
}

#[test]
fn a_spike_is_told_once_and_ends() {
    let mut tracker = tracker();
    for minute in 0..24 * 60 {
        come(&mut tracker, "a", "", NOON + minute * MINUTE);
    }
    let start = NOON + DAY;
    for second in 0..600 {
        come(&mut tracker, "a", "", start + second * SECOND);
    }
    assert_eq!(kinds(&tracker), ["new_issue", "spike"]);
    assert!(tracker.get("a").expect("there").spiking_since.is_some());
    for minute in 11..40 {
        come(&mut tracker, "a", "", start + minute * MINUTE);
    }
    assert!(tracker.get("a").expect("there").spiking_since.is_none());
    assert_eq!(kinds(&tracker), ["new_issue", "spike"]);
}

#[test]
fn many_affected_users_are_told_of_once() {
    let mut tracker = tracker();
    for user in 0..300 {
        let at = NOON + user * SECOND;
        let user = format!("u{user}");
        let error = Occurrence { user: &user, ..error(at, "1") };
        tracker.apply(&unit("a", &[error, error]), at);
        tracker.tick(at);
    }
    assert_eq!(kinds(&tracker), ["high_impact", "new_issue"]);
    let users = tracker.get("a").expect("there").users.estimate();
    assert!(users.abs_diff(300) < 60, "{users}");
}

#[test]
fn a_deploy_that_breaks_everything_sends_one_message_that_says_so() {
    let mut tracker = tracker();
    let mut deltas = Deltas::default();
    for issue in 0..70 {
        deltas.add(&format!("issue-{issue:02}"), &error(NOON, "v7"));
    }
    tracker.apply(&deltas, NOON);
    tracker.tick(NOON);
    let sent = messages(&tracker);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].kind.as_str(), sent[0].alerts), ("digest", 70));
    let title = &sent[0].title;
    assert_eq!(title, "70 alerts in shop, all in version v7: 50 new issue, 20 not named");
    // What comes while it is fresh is put together, too, and not lost.
    come(&mut tracker, "one-more", "v7", NOON + MINUTE);
    assert_eq!((messages(&tracker).len(), tracker.outbox.held()), (1, 1));
    assert!(!tracker.outbox.is_due(NOON + MINUTE) && tracker.outbox.is_due(NOON + 5 * MINUTE));
    tracker.tick(NOON + 5 * MINUTE);
    assert_eq!((messages(&tracker).len(), tracker.outbox.held()), (2, 0));
}

#[test]
fn recipients_hear_of_what_they_asked_for() {
    let mut quiet = recipient("quiet", "service:shop -@error.kind:E");
    let only = Recipient { kinds: vec![AlertKind::Regression], ..recipient("only", "") };
    quiet.format = Format::Slack;
    let recipients = vec![recipient("all", "service:shop"), quiet, only];
    let mut tracker = Tracker::new(Settings { recipients, ..Settings::default() });
    come(&mut tracker, "a", "1", NOON);
    let names: Vec<&str> = messages(&tracker).iter().map(|m| m.recipient.as_str()).collect();
    assert_eq!(names, ["all"]);
}

#[test]
fn a_target_that_fails_for_an_hour_gets_the_message_then_and_one_that_fails_for_ever_does_not() {
    let mut tracker = tracker();
    come(&mut tracker, "a", "1", NOON);
    let id = messages(&tracker)[0].id.clone();
    let failed = Attempt::Failed(Some(500), "no".to_owned());
    let (mut now, mut attempts) = (NOON, 0);
    while now < NOON + HOUR {
        assert_eq!(tracker.outbox.tried(&id, &failed, now), None);
        attempts += 1;
        now = messages(&tracker)[0].next;
    }
    assert!((8..20).contains(&attempts), "{attempts} attempts in an hour");
    let fate = tracker.outbox.tried(&id, &Attempt::Sent(200), now).expect("its fate");
    assert_eq!((fate.outcome, fate.message.attempts), ("sent", attempts + 1));
    assert_eq!(tracker.outbox.tried(&id, &Attempt::Sent(200), now), None, "once");
    come(&mut tracker, "b", "1", NOON);
    let id = messages(&tracker)[0].id.clone();
    let fate = tracker.outbox.tried(&id, &failed, NOON + 2 * DAY).expect("given up");
    assert_eq!((fate.outcome, fate.message.error.as_str()), ("failed", "no"));
}

#[test]
fn merged_issues_are_one_and_a_split_gives_an_id_back() {
    let mut tracker = tracker();
    for (id, count) in [("a", 3), ("b", 2)] {
        (0..count).for_each(|n| come(&mut tracker, id, "1", NOON + n));
    }
    let merge = Decision::Merge { into: "a".to_owned(), issues: vec!["b".to_owned()] };
    decide(&mut tracker, NOON, &merge).expect("both known");
    assert_eq!(decide(&mut tracker, NOON, &merge), Err(Undecidable::Same("b".to_owned())));
    come(&mut tracker, "b", "1", NOON + MINUTE);
    assert_eq!(tracker.get("b").map(|issue| (issue.id.as_str(), issue.seen.count)), Some(("a", 6)));
    let rows = tracker.take_changes(NOON);
    assert!(rows.iter().any(|row| row.issue.id == "b" && row.merged_into == "a"));
    let split = Decision::Split { issue: "a".to_owned(), alias: "b".to_owned() };
    decide(&mut tracker, NOON, &split).expect("a part of it");
    let count = |id: &str| tracker.get(id).map(|issue| issue.seen.count);
    assert_eq!((count("a"), count("b")), (Some(3), Some(3)));
    assert_eq!(kinds(&tracker), ["new_issue", "new_issue"]);
}

#[test]
fn a_change_of_rules_keeps_ids_and_states() {
    let mut tracker = tracker();
    let errors: Vec<_> = (0..10).map(|n| error(NOON + n * SECOND, "1")).collect();
    tracker.apply(&unit("old", &errors), NOON + MINUTE);
    tracker.apply(&unit("twin", &errors[..2]), NOON + MINUTE);
    decide(&mut tracker, NOON + MINUTE, &state("old", State::Ignored)).expect("known");
    // Eight of ten, and all of the twin's, are `new` now; two are `rest`.
    let mut removed = unit("old", &errors);
    removed.0.extend(unit("twin", &errors[..2]).0);
    let mut added = unit("new", &[&errors[..8], &errors[..2]].concat());
    added.0.extend(unit("rest", &errors[8..]).0);
    let moves: Moves = [(("old", "new"), 8), (("old", "rest"), 2), (("twin", "new"), 2)]
        .map(|((old, new), count)| ((old.to_owned(), new.to_owned()), count))
        .into();
    tracker.regroup(&removed, &added, &moves);
    tracker.tick(NOON + MINUTE);
    let of = |id: &str| {
        let issue = tracker.get(id).expect("there");
        (issue.id.clone(), issue.state, issue.seen.count)
    };
    assert_eq!(of("new"), ("old".to_owned(), State::Ignored, 10));
    assert_eq!(of("twin"), of("old"));
    assert_eq!(of("rest"), ("rest".to_owned(), State::Ignored, 2));
    let total: u64 = tracker.issues().map(|issue| issue.seen.count).sum();
    assert_eq!((total, messages(&tracker).len()), (12, 2), "no new alert");
    // New errors under the new id belong to the old issue.
    come(&mut tracker, "new", "1", NOON + 2 * MINUTE);
    assert_eq!(tracker.get("old").expect("there").seen.count, 11);
    assert_eq!(messages(&tracker).len(), 2);
}

#[test]
fn a_monitor_alarms_once_and_says_when_it_is_over_and_not_what_it_does_not_know() {
    let mut tracker = tracker();
    let mut judge = |minute: i64, over: Option<bool>| {
        let end = NOON + minute * MINUTE;
        let (monitor, said) = ("errors".to_owned(), "9 > 5".to_owned());
        let recipients = Vec::new();
        tracker.judge(&Evaluation { monitor, begin: end - MINUTE, end, over, said, recipients })
    };
    assert!(!judge(1, Some(false)) && !judge(2, None) && judge(3, Some(true)));
    assert!(!judge(4, Some(true)) && !judge(5, None));
    assert!(!judge(3, Some(false)), "a window is judged once");
    assert!(judge(6, Some(false)) && judge(7, Some(true)));
    tracker.tick(NOON);
    assert_eq!(kinds(&tracker), ["monitor", "monitor", "recovery"]);
}

#[test]
fn what_is_saved_in_parts_is_read_back_as_it_was() {
    let mut tracker = tracker();
    come(&mut tracker, "a", "1", NOON);
    come(&mut tracker, "b", "1", NOON);
    let mut parts = tracker.full();
    come(&mut tracker, "c", "2", NOON + MINUTE);
    let merge = Decision::Merge { into: "a".to_owned(), issues: vec!["b".to_owned()] };
    decide(&mut tracker, NOON, &merge).expect("both known");
    tracker.take_changes(NOON);
    parts.extend(tracker.take_unsaved());
    let json = serde_json::to_vec(&parts).expect("encodes");
    let parts: Vec<crate::saved::Part> = serde_json::from_slice(&json).expect("decodes");
    let loaded = Tracker::load(tracker.settings.clone(), parts);
    assert_eq!(loaded.issues, tracker.issues);
    assert_eq!((loaded.aliases, loaded.outbox), (tracker.aliases, tracker.outbox));
}

#[test]
fn rows_of_counts_come_now_and_then_and_changes_at_once() {
    let mut tracker = tracker();
    come(&mut tracker, "a", "1", NOON);
    assert_eq!(tracker.take_changes(NOON).len(), 1);
    come(&mut tracker, "a", "1", NOON + SECOND);
    assert!(!tracker.has_changes(NOON + SECOND) && tracker.take_changes(NOON + SECOND).is_empty());
    assert!(tracker.has_changes(NOON + MINUTE));
    let rows = tracker.take_changes(NOON + MINUTE);
    assert_eq!((rows[0].what, rows[0].issue.seen.count), ("counted", 2));
    assert!(!tracker.has_changes(NOON + DAY));
}

/// Errors of a service without a stack, each under the id grouping gives it.
fn say(tracker: &mut Tracker, service: &str, messages: &[&str], at: Micros) {
    let mut deltas = Deltas::default();
    for message in messages {
        let id = IssueId::of_message(service, "E", message).to_string();
        deltas.add(&id, &Occurrence { service, message, ..error(at, "1") });
    }
    tracker.apply(&deltas, at);
    tracker.tick(at);
}

fn id_of(message: &str) -> String {
    IssueId::of_message("shop", "E", message).to_string()
}

fn reloaded(tracker: &mut Tracker) -> Tracker {
    Tracker::load(tracker.settings.clone(), tracker.full())
}

/// Letters only, so that nothing tells that it is data.
fn word(n: usize) -> String {
    format!("{n:05}").bytes().map(|digit| char::from(digit - b'0' + b'g')).collect()
}

#[test]
fn a_flood_of_messages_fills_its_service_and_one_issue_that_says_so_and_harms_no_other() {
    let mut tracker = tracker();
    tracker.settings.max_per_service = 20;
    for n in 0..50 {
        say(&mut tracker, "shop", &[&format!("{} {}", word(n), word(n + 1))], NOON);
    }
    tracker = reloaded(&mut tracker);
    for n in 0..500 {
        say(&mut tracker, "shop", &[&format!("{} {}", word(n), word(n + 1))], NOON);
    }
    say(&mut tracker, "cart", &["it broke"], NOON);
    let of = |service: &str| tracker.issues().filter(|i| i.service == service).count();
    assert_eq!((of("shop"), of("cart")), (21, 1));
    let rest: Vec<_> = tracker.issues().filter(|issue| issue.title.contains("over 20")).collect();
    assert_eq!((rest.len(), rest[0].seen.count, rest[0].members.len()), (1, 30 + 480, 1));
    assert!(tracker.aliases.is_empty());
    let total: u64 = tracker.issues().map(|issue| issue.seen.count).sum();
    assert_eq!(total, 551);
}

#[test]
fn messages_that_differ_in_a_name_are_one_issue_and_one_alert() {
    let mut tracker = tracker();
    let messages = [
        "cannot write to table orders of the store",
        "cannot write to table invoices of the store",
        "cannot write to table customers_eu of the store",
    ];
    messages.iter().for_each(|message| say(&mut tracker, "shop", &[message], NOON));
    say(&mut tracker, "shop", &["cannot read from table orders of the store"], NOON);
    let first = tracker.get(&id_of(messages[0])).expect("there");
    assert_eq!((first.seen.count, first.members.len(), tracker.issues().count()), (3, 3, 2));
    let variant = &first.variants[&id_of(messages[1])];
    assert_eq!((variant.title.as_str(), variant.is_mined), (messages[1], true));
    assert_eq!(kinds(&tracker), ["new_issue", "new_issue"]);
    // Another service's, and one whose id something else has made, are on their own.
    say(&mut tracker, "cart", &["cannot write to table baskets of the store"], NOON);
    let given = Occurrence { message: "cannot write to table x of the store", ..error(NOON, "1") };
    tracker.apply(&unit("given", &[given]), NOON);
    assert_eq!(tracker.issues().count(), 4);
}

#[test]
fn an_id_that_was_split_off_stays_so_and_a_merged_issue_still_leads() {
    let mut tracker = tracker();
    let [one, other] = ["no topic orders in the cluster", "no topic bills in the cluster"];
    say(&mut tracker, "shop", &[one], NOON);
    say(&mut tracker, "shop", &[other], NOON);
    let split = Decision::Split { issue: id_of(one), alias: id_of(other) };
    decide(&mut tracker, NOON, &split).expect("a part of it");
    for round in 0..2 {
        say(&mut tracker, "shop", &[one, other], NOON);
        let of = |message| tracker.get(&id_of(message)).map(|i| (i.title.clone(), i.seen.count));
        assert_eq!(of(one), Some((one.to_owned(), 2 + round)));
        assert_eq!(of(other), Some((other.to_owned(), 2 + round)));
        tracker = reloaded(&mut tracker);
    }
    say(&mut tracker, "shop", &["something else"], NOON);
    let into = id_of("something else");
    let merge = Decision::Merge { into: into.clone(), issues: vec![id_of(one), id_of(other)] };
    decide(&mut tracker, NOON, &merge).expect("all known");
    say(&mut tracker, "shop", &["no topic refunds in the cluster"], NOON);
    assert_eq!(tracker.get(&id_of("no topic refunds in the cluster")).expect("there").id, into);
    assert_eq!(tracker.issues().count(), 1);
}

#[test]
fn an_issue_that_stands_for_too_many_ids_counts_further_ones_all_the_same() {
    let mut tracker = tracker();
    let message = |n: usize| format!("no topic {} in the cluster", word(n));
    let most = schemas::limits::MAX_ALIASES + 20;
    (0..most).for_each(|n| say(&mut tracker, "shop", &[&message(n)], NOON));
    let before = tracker.aliases.len();
    tracker = reloaded(&mut tracker);
    (0..most).for_each(|n| say(&mut tracker, "shop", &[&message(n)], NOON));
    let issue = tracker.get(&id_of(&message(0))).expect("there");
    assert_eq!((tracker.issues().count(), issue.seen.count), (1, 2 * most as u64));
    assert_eq!((tracker.aliases.len(), issue.variants.len()), (before, 8));
}

#[test]
fn a_replay_counts_what_there_is_no_room_for_and_takes_it_back() {
    let mut tracker = tracker();
    tracker.settings.max_per_service = 2;
    let errors = [error(NOON, "1"), error(NOON + SECOND, "1")];
    let of = |ids: &[&str]| {
        let mut deltas = Deltas::default();
        ids.iter().for_each(|id| deltas.0.extend(unit(id, &errors).0));
        deltas
    };
    tracker.apply(&of(&["a"]), NOON + MINUTE);
    decide(&mut tracker, NOON, &state("a", State::Ignored)).expect("known");
    let moves = |pairs: &[(&str, &str)]| -> Moves {
        pairs.iter().map(|(old, new)| (((*old).to_owned(), (*new).to_owned()), 2)).collect()
    };
    let split = moves(&[("a", "a"), ("a", "b"), ("a", "c"), ("a", "d")]);
    tracker.regroup(&of(&["a"]), &of(&["a", "b", "c", "d"]), &split);
    let total = |tracker: &Tracker| tracker.issues().map(|i| i.seen.count).sum::<u64>();
    let rest = |tracker: &Tracker| {
        let found = tracker.issues().find(|issue| issue.is_overflow());
        found.map(|issue| (issue.seen.count, issue.members.values().map(|s| s.count).sum::<u64>()))
    };
    assert_eq!((total(&tracker), rest(&tracker), tracker.issues().count()), (8, Some((4, 4)), 3));
    let overflow = tracker.issues().find(|issue| issue.is_overflow()).expect("there");
    assert_eq!(overflow.state, State::ForReview, "nobody has ignored it");
    tracker = reloaded(&mut tracker);
    let back = moves(&[("a", "a"), ("b", "a"), ("c", "a"), ("d", "a")]);
    tracker.regroup(&of(&["a", "b", "c", "d"]), &of(&["a"]), &back);
    assert_eq!((total(&tracker), rest(&tracker)), (2, Some((0, 0))));
}

proptest! {
    /// A worker that dies after any unit and reads the state back goes on as if nothing had been.
    #[test]
    fn what_happens_does_not_depend_on_when_the_state_is_read_back(
        steps in prop::collection::vec((0..8usize, 0..12usize, 0..4usize, any::<bool>()), 1..40),
    ) {
        let (mut straight, mut broken) = (tracker(), tracker());
        straight.settings.max_per_service = 6;
        broken.settings.max_per_service = 6;
        for (kind, name, place, is_read_back) in steps {
            let message = match place {
                0 => format!("no table {} in the store", word(name)),
                1 => format!("no table {} in the shop", word(name)),
                _ => format!("{} {}", word(name), word(place)),
            };
            for tracker in [&mut straight, &mut broken] {
                let ids: Vec<String> = tracker.issues.keys().cloned().collect();
                let aliases: Vec<String> = tracker.aliases.keys().cloned().collect();
                let decision = match (kind, ids.as_slice(), aliases.as_slice()) {
                    (0, [into, other, ..], _) => {
                        Some(Decision::Merge { into: into.clone(), issues: vec![other.clone()] })
                    }
                    (1, _, [alias, ..]) => {
                        Some(Decision::Split { issue: alias.clone(), alias: alias.clone() })
                    }
                    _ => None,
                };
                match decision {
                    Some(decision) => decide(tracker, NOON, &decision).expect("both are known"),
                    None => say(tracker, "shop", &[&message], NOON),
                }
            }
            if is_read_back {
                broken = reloaded(&mut broken);
            }
            prop_assert_eq!(&straight.issues, &broken.issues);
            prop_assert_eq!(&straight.aliases, &broken.aliases);
            prop_assert_eq!((&straight.counts, &straight.miner), (&broken.counts, &broken.miner));
            prop_assert_eq!(&straight.outbox, &broken.outbox);
        }
    }

    /// Errors of some issues, in units that come in any order: the sums do not depend on it.
    #[test]
    fn counts_do_not_depend_on_the_order_of_units(
        errors in prop::collection::vec((0..3usize, 0..40i64, 0..3usize), 1..60),
        order in prop::collection::vec(any::<u32>(), 60),
    ) {
        let ids = ["a", "b", "c"];
        let versions = ["", "1", "2"];
        let units: Vec<Deltas> = errors.chunks(4).map(|chunk| {
            let mut deltas = Deltas::default();
            for (id, minute, version) in chunk {
                deltas.add(ids[*id], &error(NOON + minute * MINUTE, versions[*version]));
            }
            deltas
        }).collect();
        let sums = |units: &[&Deltas]| {
            let mut tracker = tracker();
            for unit in units {
                tracker.apply(unit, NOON + HOUR);
            }
            tracker.issues().map(|issue| (
                issue.id.clone(), issue.seen, issue.versions.clone(), issue.envs.clone(),
                issue.hours.clone(), issue.minutes.clone(),
                (issue.first_version.clone(), issue.last_version.clone()),
            )).collect::<Vec<_>>()
        };
        let straight: Vec<&Deltas> = units.iter().collect();
        let mut mixed: Vec<(u32, &Deltas)> = order.into_iter().zip(&units).collect();
        mixed.sort_by_key(|(key, _)| *key);
        let mixed: Vec<&Deltas> = mixed.into_iter().map(|(_, unit)| unit).collect();
        prop_assert_eq!(sums(&straight), sums(&mixed));
    }
}
