//! Which errors are one issue.

use bumpalo::Bump;

use super::*;
use crate::input::no_attributes;

fn grouper(yaml: &str) -> Grouper {
    Grouper::compile(&serde_yaml_ng::from_str(yaml).unwrap()).unwrap()
}

fn id(grouper: &Grouper, input: &ErrorInput<'_>) -> IssueId {
    grouper.group(&Bump::new(), input, &no_attributes).issue_id
}

fn java(frames: &str) -> String {
    format!("com.acme.Broken: order 12 failed\n{frames}")
}

fn stack(stack: &str) -> ErrorInput<'_> {
    ErrorInput { service: "shop", stack, ..ErrorInput::default() }
}

#[test]
fn builds_hosts_and_values_do_not_matter() {
    let grouper = grouper("{}");
    let one = java(
        "\tat org.hibernate.Q.x(Q.java:1)\n\tat com.acme.Cart.lambda$add$3(Cart.java:12)\n\tat com.acme.Main.main(Main.java:1)",
    );
    let other = java(
        "\tat com.acme.Cart.lambda$add$7(Cart.java:19)\n\tat com.acme.Other.run(Other.java:3)",
    )
    .replace("12 failed", "9 failed");
    assert_eq!(id(&grouper, &stack(&one)), id(&grouper, &stack(&other)));
}

#[test]
fn service_type_frame_and_words_do_matter() {
    let grouper = grouper("{}");
    let base = java("\tat com.acme.Cart.add(Cart.java:12)");
    let base_id = id(&grouper, &stack(&base));
    let service = ErrorInput { service: "cart", ..stack(&base) };
    let kind = ErrorInput { kind: "com.acme.Other", ..stack(&base) };
    let (frame, words) = (base.replace("Cart.add", "Cart.pay"), base.replace("failed", "expired"));
    for other in [service, kind, stack(&frame), stack(&words)] {
        assert_ne!(id(&grouper, &other), base_id, "{other:?}");
    }
}

#[test]
fn ids_are_what_they_were_in_the_last_release() {
    let grouper = grouper("{}");
    let trace = java("\tat com.acme.Cart.add(Cart.java:12)");
    let message = ErrorInput { service: "shop", text: "order 7 failed", ..ErrorInput::default() };
    assert_eq!(
        [id(&grouper, &stack(&trace)).to_string(), id(&grouper, &message).to_string()],
        ["01907a633534c609ca1ef65d6698dc96", "017365ba0d2a235da19924a84435dfa3"],
        "a change here gives every issue of every user another id"
    );
}

#[test]
fn the_root_cause_with_own_code_counts_not_the_wrapper() {
    let grouper = grouper("{}");
    let wrapped = |outer: &str| {
        format!(
            "com.acme.Wrapped: x\n\tat com.acme.{outer}.go(A.java:1)\nCaused by: java.sql.SQLException: gone\n\tat oracle.X.y(X.java:1)\n\tat com.acme.Db.query(Db.java:3)\n\t... 3 more"
        )
    };
    let (one, other) = (wrapped("A"), wrapped("B"));
    assert_eq!(id(&grouper, &stack(&one)), id(&grouper, &stack(&other)));
    let else_raised = one.replace("java.sql.SQLException", "java.io.IOException");
    assert_ne!(id(&grouper, &stack(&one)), id(&grouper, &stack(&else_raised)));
}

#[test]
fn recursion_counts_once() {
    let grouper = grouper("frames: 2");
    let times = |n| {
        java(
            &("\tat com.acme.Tree.walk(Tree.java:1)\n".repeat(n)
                + "\tat com.acme.Main.main(Main.java:1)"),
        )
    };
    assert_eq!(id(&grouper, &stack(&times(1))), id(&grouper, &stack(&times(50))));
}

#[test]
fn a_log_and_a_span_of_the_same_error_are_one_issue() {
    let grouper = grouper("{}");
    let trace = "Traceback (most recent call last):\n  File \"/app/shop/cart.py\", line 3, in add\n    x\nValueError: no stock for 7\n";
    let log = ErrorInput { text: "could not add item", ..stack(trace) };
    let span = ErrorInput {
        kind: "builtins.ValueError",
        message: "no stock for 9",
        text: "GET /cart",
        ..stack(trace)
    };
    let in_text = format!("could not add item\n{trace}");
    let found = ErrorInput { text: &in_text, ..stack(&in_text) };
    assert_eq!(id(&grouper, &log), id(&grouper, &span));
    assert_eq!(id(&grouper, &log), id(&grouper, &found));
}

#[test]
fn without_a_stack_type_and_template_decide() {
    let grouper = grouper("{}");
    let of = |kind, text| ErrorInput { service: "shop", kind, text, ..ErrorInput::default() };
    let one = id(&grouper, &of("", "order 1 of \"ann\" failed"));
    assert_eq!(one, id(&grouper, &of("", "order 22 of \"joe\" failed")));
    assert_ne!(one, id(&grouper, &of("Fail", "order 1 of \"ann\" failed")));
    assert_ne!(one, id(&grouper, &of("", "order 1 of \"ann\" expired")));
}

#[test]
fn a_fingerprint_of_its_own_groups_per_service_and_bad_ones_are_none() {
    let grouper = grouper("{}");
    let of = |service, fingerprint, text| ErrorInput {
        service,
        fingerprint,
        text,
        ..ErrorInput::default()
    };
    assert_eq!(id(&grouper, &of("a", "x", "one")), id(&grouper, &of("a", " x ", "two")));
    assert_ne!(id(&grouper, &of("a", "x", "one")), id(&grouper, &of("b", "x", "one")));
    assert_eq!(id(&grouper, &of("a", "  ", "one")), id(&grouper, &of("a", "", "one")));
    let long = "x".repeat(1 << 20);
    id(&grouper, &of("a", &long, "one"));
}

#[test]
fn rules_set_fingerprints_and_titles() {
    let grouper = grouper(
        "fingerprint_rules: |\n  \
           error.type:*Timeout* service:shop -> timeouts, {{ function }} title=\"Timeout in {{ function }}\"\n  \
           message:\"*disk full*\" !env:prod -> disk\n  \
           function:add app:yes -> {{ default }}, {{ @customer }}\n",
    );
    let add = java("\tat com.acme.Cart.add(Cart.java:12)").replace("Broken", "TimeoutA");
    let other = java("\tat com.acme.Other.add(Other.java:2)").replace("Broken", "BTimeout");
    assert_eq!(id(&grouper, &stack(&add)), id(&grouper, &stack(&other)));
    let arena = Bump::new();
    let grouped = grouper.group(&arena, &stack(&add), &no_attributes);
    assert_eq!((grouped.title, grouped.strategy), ("Timeout in add", "rule"));
    assert!(grouped.rule.starts_with("error.type:*Timeout*"));
    let disk = |env, text| ErrorInput { service: "shop", env, text, ..ErrorInput::default() };
    assert_eq!(
        id(&grouper, &disk("dev", "Disk full on a")),
        id(&grouper, &disk("dev", "oh: disk full"))
    );
    assert_ne!(
        id(&grouper, &disk("prod", "Disk full on a")),
        id(&grouper, &disk("prod", "oh: disk full"))
    );
    let add = java("\tat com.acme.Cart.add(Cart.java:12)");
    let by = |customer: &'static str| {
        let lookup = move |path: &str| (path == "customer").then_some(customer);
        grouper.group(&Bump::new(), &stack(&add), &lookup).issue_id
    };
    assert_ne!(by("ann"), by("joe"));
    assert_eq!(by("ann"), by("ann"));
}

#[test]
fn stack_rules_and_patterns_say_whose_code_it_is() {
    let trace = java(
        "\tat com.acme.util.Retry.go(R.java:1)\n\tat com.acme.Cart.add(Cart.java:12)\n\tat org.apache.Own.x(O.java:1)",
    );
    let culprit = |yaml: &str| {
        let arena = Bump::new();
        grouper(yaml).group(&arena, &stack(&trace), &no_attributes).culprit.to_owned()
    };
    assert_eq!(culprit("{}"), "com.acme.util.Retry.go");
    assert_eq!(culprit("stack_rules: ['module:com.acme.util.* -app']"), "com.acme.Cart.add");
    assert_eq!(culprit("stack_rules: ['function:go -group']"), "com.acme.Cart.add");
    assert_eq!(culprit("in_app: {exclude: ['com.acme.util.*']}"), "com.acme.Cart.add");
    assert_eq!(
        culprit("in_app: {exclude: ['com.acme.*'], include: ['org.apache.Own']}"),
        "org.apache.Own.x"
    );
    assert_eq!(culprit("stack_rules: ['function:add ^-app']"), "com.acme.Cart.add");
    assert_eq!(
        culprit("stack_rules: ['[ function:add ] | module:*util* -app']"),
        "com.acme.Cart.add"
    );
    assert_eq!(
        culprit("stack_rules: ['[ function:other ] | module:*util* -app']"),
        "com.acme.util.Retry.go"
    );
    assert_eq!(
        culprit("stack_rules: ['function:go v-app', 'function:go -app', 'function:x +app']"),
        "org.apache.Own.x"
    );
}

#[test]
fn merges_and_splits_change_ids_and_nothing_else() {
    let plain = grouper("{}");
    let input =
        |text, version| ErrorInput { service: "shop", text, version, ..ErrorInput::default() };
    let (one, two) = (id(&plain, &input("a b", "1")), id(&plain, &input("c d", "1")));
    let merged = grouper(&format!("merge: [{{into: \"{one}\", from: [\"{two}\"]}}]"));
    assert_eq!(id(&merged, &input("c d", "1")), one);
    let split = grouper(&format!("split: [{{issue: \"{one}\", by: [version]}}]"));
    assert_ne!(id(&split, &input("a b", "1")), id(&split, &input("a b", "2")));
    assert_eq!(id(&split, &input("c d", "1")), two);
}

#[test]
fn explain_says_what_made_the_id_and_what_tells_two_apart() {
    let grouper = grouper("stack_rules: ['module:com.acme.util.* -app']");
    let arena = Bump::new();
    let trace = java("\tat com.acme.util.Retry.go(R.java:1)\n\tat com.acme.Cart.add(Cart.java:12)");
    let explained = grouper.explain(&arena, &stack(&trace), &no_attributes);
    assert_eq!(explained.issue_id, id(&grouper, &stack(&trace)));
    assert_eq!((explained.strategy, explained.template.as_str()), ("stack", "order <num> failed"));
    let made: Vec<_> = explained.components.iter().map(|c| (c.name, c.value.as_str())).collect();
    assert_eq!(
        made,
        [
            ("service", "shop"),
            ("type", "com.acme.Broken"),
            ("frame", "com.acme.Cart|add"),
            ("message", "order <*> failed")
        ]
    );
    assert_eq!(explained.frames[0].rule.as_deref(), Some("module:com.acme.util.* -app"));
    assert!(explained.frames[1].is_used && !explained.frames[0].is_used);
    let other = trace.replace("Cart.add", "Cart.pay");
    let other = grouper.explain(&arena, &stack(&other), &no_attributes);
    let differences = explained.differences(&other);
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].other.as_deref(), Some("com.acme.Cart|pay"));
    assert!(explained.to_string().contains("made of    frame            com.acme.Cart|add"));
}

#[test]
fn a_library_without_own_code_is_told_apart_by_its_first_frames() {
    let grouper = grouper("{}");
    let trace = java("\tat java.util.A.b(A.java:1)\n\tat java.util.C.d(C.java:1)");
    let arena = Bump::new();
    let explained = grouper.explain(&arena, &stack(&trace), &no_attributes);
    assert_eq!(explained.strategy, "system stack");
    assert!(explained.notes.iter().any(|note| note.contains("in_app.include")));
}
