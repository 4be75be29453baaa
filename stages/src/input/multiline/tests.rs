//! Traces as the runtimes print them, between other lines.

use super::*;

/// Texts joined by a rule, one stream.
fn joined(multiline: &Multiline, text: &str) -> Vec<String> {
    let mut joins = Joins::new(multiline);
    let mut logs: Vec<String> = Vec::new();
    for line in text.lines() {
        match joins.join(&Line { text: line.as_bytes(), ..Line::default() }) {
            Join::New => logs.push(line.to_owned()),
            _ => {
                let log = logs.last_mut().expect("a log to continue");
                log.push('\n');
                log.push_str(line);
            }
        }
    }
    logs
}

const JAVA: &str = "java.lang.IllegalStateException: it failed
\tat com.example.Shop.order(Shop.java:42)
\tat com.example.Main.main(Main.java:7)
\tSuppressed: java.io.IOException: closed
\t\tat com.example.Shop.close(Shop.java:60)
Caused by: org.postgresql.util.PSQLException: ERROR: no such table, 2024-05-01
\tat org.postgresql.Driver.connect(Driver.java:1)
\t... 23 more";
const UNCAUGHT_JAVA: &str = "Exception in thread \"main\" java.lang.NullPointerException
\tat com.example.Main.main(Main.java:7)";
const PYTHON: &str = "Traceback (most recent call last):
  File \"/app/a.py\", line 3, in f
    return {}[key]
           ~~^^^^^
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"/app/a.py\", line 9, in <module>
    main()
app.errors.Missing: no such key";
const GO: &str = "panic: runtime error: index out of range [3] with length 2

goroutine 1 [running]:
main.run(0xc000010000, 0x1)
\t/app/main.go:12 +0x1d
main.main()
\t/app/main.go:5 +0x20
created by main.start in goroutine 7
\t/app/main.go:30 +0x4c
exit status 2";
const NODE: &str = "TypeError: Cannot read properties of undefined (reading 'x')
    at handler (/app/index.js:12:9)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5) {
  code: 'E_X'
}";
const UNCAUGHT_NODE: &str = "/app/index.js:12
    throw new Error('no');
    ^

Error: no
    at Object.<anonymous> (/app/index.js:12:9)
    at node:internal/main/run_main_module:28:49

Node.js v20.11.0";
const RUBY: &str = "/app/a.rb:3:in `divide': divided by 0 (ZeroDivisionError)
\tfrom /app/a.rb:7:in `block in run'
\tfrom /app/a.rb:9:in `<main>'";
const DOTNET: &str = "Unhandled exception. System.InvalidOperationException: it failed
 ---> System.IO.IOException: closed
   at Shop.Store.Write() in /src/Store.cs:line 42
   --- End of inner exception stack trace ---
   at Shop.Program.Main(String[] args) in /src/Program.cs:line 7
--- End of stack trace from previous location ---
   at System.Threading.Tasks.Task.Wait()";
const RUST: &str = "thread 'main' panicked at src/main.rs:2:5:
index out of bounds: the len is 2 but the index is 3
stack backtrace:
   0: rust_begin_unwind
             at /rustc/1/library/std/src/panicking.rs:645:5
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.";

const ALL: [(&str, &str); 9] = [
    ("Java", JAVA),
    ("Java, uncaught", UNCAUGHT_JAVA),
    ("Python", PYTHON),
    ("Go", GO),
    ("Node", NODE),
    ("Node, uncaught", UNCAUGHT_NODE),
    ("Ruby", RUBY),
    (".NET", DOTNET),
    ("Rust", RUST),
];

#[test]
fn a_trace_of_every_language_is_one_log_between_plain_lines() {
    for (language, trace) in ALL {
        let text = format!("starting up\n{trace}\nshutting down\n");
        let logs = joined(&Multiline::auto(), &text);
        assert_eq!(logs, ["starting up", trace, "shutting down"], "{language}");
    }
}

#[test]
fn a_trace_behind_a_line_with_time_belongs_to_it() {
    for (language, trace) in ALL {
        let text = format!(
            "2024-05-01 10:00:00,123 INFO main one\n2024-05-01 10:00:01,000 ERROR main it failed\n{trace}\n2024-05-01 10:00:02,000 INFO main two"
        );
        let logs = joined(&Multiline::auto(), &text);
        assert_eq!(logs.len(), 3, "{language}: {logs:#?}");
        assert!(logs[1].ends_with(trace), "{language}");
    }
}

#[test]
fn plain_lines_and_json_lines_stay_apart() {
    let text = "one\ntwo\n{\"a\":1}\n{\"b\":2}\nGET /\nError rate is 3\nDone.\n12 of 13\n";
    let logs = joined(&Multiline::auto(), text);
    assert_eq!(logs.len(), 8, "{logs:#?}");
}

#[test]
fn patterns_of_the_users_own_decide_alone() {
    let start = Regex::new(r"^\[").expect("compiles");
    let rule = Multiline::Join(Arc::new(Rule::new(Pattern::Start(start))));
    assert_eq!(joined(&rule, "x\ny\n[1\na\n[2"), ["x\ny", "[1\na", "[2"]);
    let more = Regex::new(r"^\+").expect("compiles");
    let rule = Multiline::Join(Arc::new(Rule::new(Pattern::Continuation(more))));
    assert_eq!(joined(&rule, "x\n+y\nz\n+1\n+2"), ["x\n+y", "z\n+1\n+2"]);
}
