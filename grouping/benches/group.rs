//! Errors per second by kind. `cargo bench -p grouping --bench group`.
//!
//! The kinds take turns, round after round, and the median of each counts, so that a busy machine slows
//! all of them. Every error of a kind differs from the others in values and line numbers, and all of
//! them are one issue: that is asserted before anything is timed.

use std::hint::black_box;
use std::time::Instant;

use bumpalo::Bump;
use grouping::{ErrorInput, Grouper, IssueId, RulesConfig, no_attributes};

/// Errors of one kind.
struct Kind {
    name: &'static str,
    texts: Vec<String>,
    is_stack: bool,
}

fn java(n: usize) -> String {
    let mut text = format!("com.acme.OrderException: order {n} failed after {}ms\n", n % 900);
    for depth in 0..12 {
        text += &format!(
            "\tat org.springframework.web.Filter{depth}.doFilter(Filter.java:{})\n",
            n % 99 + depth
        );
    }
    text += &format!("\tat com.acme.shop.Cart$$EnhancerBySpringCGLIB$$1a{n:x}.pay(<generated>)\n");
    for depth in 0..25 {
        text +=
            &format!("\tat java.base/java.util.concurrent.Pool{depth}.run(Pool.java:{depth})\n");
    }
    text += &format!(
        "Caused by: java.sql.SQLException: connection {n} gone\n\tat com.acme.shop.Db.query(Db.java:{})\n\t... 30 more\n",
        n % 50
    );
    text
}

fn python(n: usize) -> String {
    let mut text = "Traceback (most recent call last):\n".to_owned();
    for depth in 0..8 {
        text += &format!(
            "  File \"/app/.venv/lib/python3.11/site-packages/celery/app/task{depth}.py\", line {}, in run\n    return self.fun(*args)\n",
            n % 70
        );
    }
    text + &format!(
        "  File \"/app/shop/cart.py\", line {}, in add\n    raise ValueError(item)\nValueError: no stock for item {n}\n",
        n % 300
    )
}

fn node(n: usize) -> String {
    let mut text = format!("TypeError: Cannot read properties of undefined (reading 'item{n}')\n");
    text += &format!("    at Cart.add (/app/src/cart.js:{}:5)\n", n % 300);
    for depth in 0..9 {
        text += &format!(
            "    at next (/app/node_modules/express/lib/router/layer{depth}.js:95:{})\n",
            n % 60
        );
    }
    text
}

fn go(n: usize) -> String {
    let mut text = format!(
        "panic: runtime error: index out of range [{n}] with length 3\n\ngoroutine {n} [running]:\n"
    );
    text += &format!("main.(*Cart).Add(0xc0000{n:x}, 0x3)\n\t/app/cart.go:{} +0x1d\n", n % 300);
    for depth in 0..10 {
        text += &format!(
            "net/http.handler{depth}.ServeHTTP({{0x{n:x}}})\n\t/usr/local/go/src/net/http/server.go:{} +0x1\n",
            n % 99
        );
    }
    text
}

fn kinds(count: usize) -> Vec<Kind> {
    let make = |name, is_stack, text: fn(usize) -> String| Kind {
        name,
        is_stack,
        texts: (0..count).map(text).collect(),
    };
    vec![
        make("message", false, |n| {
            format!(
                "order {n} of user \"u{n}\" failed: timeout after {}ms at 10.0.{}.7:443",
                n % 900,
                n % 250
            )
        }),
        make("java", true, java),
        make("python", true, python),
        make("node", true, node),
        make("go", true, go),
    ]
}

fn group(grouper: &Grouper, kind: &Kind, arena: &mut Bump) -> IssueId {
    let mut last = None;
    for text in &kind.texts {
        arena.reset();
        let mut input = ErrorInput { service: "shop", ..ErrorInput::default() };
        if kind.is_stack {
            input.stack = text
        } else {
            input.text = text
        }
        last = Some(black_box(grouper.group(arena, &input, &no_attributes)).issue_id);
    }
    last.expect("texts")
}

fn seconds(work: impl FnOnce()) -> f64 {
    #[expect(clippy::disallowed_methods, reason = "a bench measures time")]
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let (count, rounds) = if full { (20_000, 9) } else { (200, 1) };
    let grouper = Grouper::compile(&RulesConfig::default()).expect("the default compiles");
    let kinds = kinds(count);
    let mut arena = Bump::new();
    let mut times = vec![Vec::new(); kinds.len()];
    for kind in &kinds {
        let one =
            Kind { name: kind.name, texts: kind.texts[..1].to_vec(), is_stack: kind.is_stack };
        let all = group(&grouper, kind, &mut arena);
        assert_eq!(all, group(&grouper, &one, &mut arena), "{}: one issue", kind.name);
    }
    for _ in 0..rounds {
        for (kind, times) in kinds.iter().zip(&mut times) {
            times.push(seconds(|| _ = group(&grouper, kind, &mut arena)));
        }
    }
    for (kind, mut times) in kinds.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        let bytes: usize = kind.texts.iter().map(String::len).sum();
        println!(
            "{:<10} {:>10.0} errors/s  {:>6.0} MB/s  {:>6.0} bytes each",
            kind.name,
            count as f64 / median,
            bytes as f64 / median / 1e6,
            bytes as f64 / count as f64
        );
    }
}
