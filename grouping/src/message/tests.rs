//! Templates of messages as people write them.

use bumpalo::Bump;
use proptest::prelude::*;

use super::*;

fn of(message: &str) -> String {
    template(&Bump::new(), message).to_owned()
}

fn id(message: &str) -> Vec<u8> {
    let arena = Bump::new();
    let mut out = BumpVec::new_in(&arena);
    identity(message, &mut out);
    out.to_vec()
}

#[test]
fn words_stay_and_values_become_what_they_look_like() {
    for (message, expected) in [
        ("order 4711 failed after 12ms", "order <num> failed after <duration>"),
        ("no route to 10.0.0.1:9092 (attempt 3/5)", "no route to <host> (attempt <num>)"),
        ("user ann@example.org is locked", "user <email> is locked"),
        ("GET https://example.org/a?b=c,d failed.", "GET <url> failed."),
        ("cannot open /var/lib/x-12/data.db: denied", "cannot open <path>: denied"),
        (r"cannot open C:\Users\ann\x.txt", "cannot open <path>"),
        ("at 2024-03-01T10:20:30.123Z all stopped", "at <date> all stopped"),
        ("id 6ba7b810-9dad-11d1-80b4-00c04fd430c8 unknown", "id <uuid> unknown"),
        ("bad hash d41d8cd98f00b204", "bad hash <hex>"),
        ("segfault at 0xdeadbeef12", "segfault at <hex>"),
        ("column \"total\" does not exist", "column <quoted> does not exist"),
        ("it can't be, isn't it", "it can't be, isn't it"),
        ("name=ann age=7 left= done", "name=<id> age=<num> left=<value> done"),
        ("com.acme.Cart@1b2c3d4e is closed", "com.acme.Cart@<hex> is closed"),
        ("db-1.eu.example.com:5432 refused", "<host> refused"),
        ("java.io.IOException: disk full", "java.io.IOException: disk full"),
        ("blk_-1608999687919862906 lost", "blk_-<num> lost"),
        ("read 12.5 GB of 4GiB", "read <num> <unit> of <size>"),
        ("Mon Mar 04 10:00:00 2024 closed", "<date> <date> <num> <date> <num> closed"),
        ("token eyJhbGciOiJIUzI1NiIsInR5cCI6 expired", "token <base64> expired"),
        ("session a8f3kx9 expired", "session <id> expired"),
        ("Größe 12 überschritten, 用户123不存在", "Größe <num> überschritten, 用户<num>不存在"),
        ("{\"code\": 12, \"name\": \"ann\"}", "{\"code\": <num>, \"name\": <quoted>}"),
        ("read/write N/A", "read/write N/A"),
        ("Failed password for root from 10.0.0.1", "Failed password for <name> from <ip>"),
        ("Invalid user support on 10.0.0.1", "Invalid user <name> on <ip>"),
        (
            "no such user: the user input of user x is bad",
            "no such user: the user input of user <name> is bad",
        ),
        ("fe80::1 and 2001:db8::ff00:42:8329", "<ip> and <ip>"),
    ] {
        assert_eq!(of(message), expected, "{message}");
    }
}

#[test]
fn the_same_error_with_other_values_is_the_same() {
    for (one, other) in [
        ("order 1 failed", "order 22 failed"),
        ("ids [1, 2, 3] are gone", "ids [7] are gone"),
        ("no key 'a b' in map", "no key \"x\" in map"),
        ("node-12: timeout", "node-9 timeout"),
        ("user=root uid=0", "user=ann uid= "),
        ("lost /10.0.0.1:80", "lost /10.9.0.1:8080"),
        ("took 1.5s", "took 250ms"),
        ("took 1.5 s", "took 250 ms"),
        ("sent 10 bytes to a", "sent 89652 bytes (87.5 KB) to a"),
        ("lost blk_-12", "lost blk_7"),
        ("task_12_m_3 died", "task_7_r_1 died"),
        ("no answer from [Thunderbird_B8]", "no answer from [Thunderbird_A12]"),
        ("names an14 an15 an16", "names dn7"),
        ("session closed for user ann", "session closed for user joe"),
        ("at Fri Jul  1 07:57:30 2005", "at Fri Jul 21 07:57:30 2005"),
        ("via proxy.cse.example.hk:80", "via 10.0.0.1:80"),
    ] {
        assert_eq!(id(one), id(other), "{one} | {other}");
    }
}

#[test]
fn other_words_are_another_error() {
    for (one, other) in [
        ("order 1 failed", "order 1 expired"),
        ("cannot read file", "cannot write file"),
        ("java.io.IOException", "java.io.EOFException"),
        ("\"GET /a HTTP/1.1\" failed", "\"POST /a HTTP/1.1\" failed"),
        ("failed (disk full)", "failed (timeout)"),
        ("invalid user input", "invalid user name"),
        ("no user found", "no user allowed"),
    ] {
        assert_ne!(id(one), id(other), "{one} | {other}");
    }
}

#[test]
fn only_the_first_lines_tell_errors_apart() {
    assert_eq!(head("\n\n a\n\n b\n c"), "a\n\n b");
    assert_eq!(head("a"), "a");
    let long = "é".repeat(MAX_TEMPLATE_BYTES);
    assert!(head(&long).len() <= MAX_TEMPLATE_BYTES);
}

proptest! {
    #[test]
    fn the_parts_are_the_text_and_nothing_panics(text in "\\PC{0,80}|[a-z0-9'\"=/@:.\\\\ \\-]{0,60}") {
        struct Copy(String);
        impl Sink for Copy {
            fn gap(&mut self, gap: &str) { self.0.push_str(gap); }
            fn word(&mut self, word: &str) { self.0.push_str(word); }
            fn value(&mut self, raw: &str, _: Option<Shape>) { self.0.push_str(raw); }
        }
        let mut copy = Copy(String::new());
        scanner::scan(&text, &mut copy);
        prop_assert_eq!(copy.0, text.clone());
        of(&text);
    }

    #[test]
    fn an_identity_is_bounded(text in "\\PC{0,400}", times in 1usize..40) {
        prop_assert!(id(&text.repeat(times)).len() <= MAX_TEMPLATE_BYTES + MAX_TEMPLATE_WORDS);
    }
}
