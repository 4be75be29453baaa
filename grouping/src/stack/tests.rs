//! Traces as runtimes print them: one line per frame here, `type: message | function @ file` below.

use bumpalo::Bump;
use proptest::prelude::*;

use super::*;

/// The chain as `type: message [frame, frame]`, normal names, joined by ` <- `.
fn read(text: &str) -> String {
    let arena = Bump::new();
    let Some(trace) = Trace::parse(&arena, text) else { return "none".to_owned() };
    let chain: Vec<String> = trace
        .exceptions
        .iter()
        .map(|exception| {
            let frames: Vec<String> =
                exception.frames.iter().map(|frame| name(&arena, frame)).collect();
            format!("{}: {} [{}]", exception.kind, exception.message, frames.join(", "))
        })
        .collect();
    format!("{} {}", trace.language().as_str(), chain.join(" <- "))
}

fn name(arena: &Bump, frame: &Frame<'_>) -> String {
    let mut out = BumpVec::new_in(arena);
    normal::write(frame, &mut out);
    let own = if in_app::is_in_app(frame) { "" } else { "~" };
    format!("{own}{}", String::from_utf8_lossy(&out))
}

#[test]
fn java_with_causes_generated_classes_and_lambdas() {
    let text = "2024-01-01 ERROR [main] c.a.Shop - order failed\n\
        com.acme.OrderException: order 12 failed\n\
        \tat com.acme.Shop.lambda$order$3(Shop.java:12) ~[app.jar:1.2]\n\
        \tat com.acme.Shop$$EnhancerBySpringCGLIB$$1a2b3c.order(<generated>)\n\
        \tat java.base/java.lang.Thread.run(Thread.java:833)\n\
        \tSuppressed: java.io.IOException: close\n\
        \t\tat com.acme.Db.close(Db.java:9)\n\
        \t\tCaused by: java.net.SocketException: inner\n\
        \t\t\tat com.acme.Socket.x(Socket.java:1)\n\
        Caused by: java.sql.SQLException: gone\n\
        \tat com.acme.Db.query(Db.kt:40)\n\
        \t... 23 more\n\
        Caused by: [CIRCULAR REFERENCE: com.acme.OrderException: order 12 failed]\n";
    assert_eq!(
        read(text),
        "java com.acme.OrderException: order 12 failed \
         [com.acme.Shop|order, com.acme.Shop|order, ~java.lang.Thread|run] \
         <- java.sql.SQLException: gone [com.acme.Db|query]"
            .to_owned()
    );
}

#[test]
fn python_prints_causes_first_and_the_last_call_last() {
    let text = "Traceback (most recent call last):\n  \
          File \"/app/shop/db.py\", line 3, in query\n    \
            return rows[0]\n           ~~~~^^^\n\
        IndexError: list index out of range\n\n\
        During handling of the above exception, another exception occurred:\n\n\
        Traceback (most recent call last):\n  \
          File \"/usr/lib/python3.11/site-packages/celery/app.py\", line 1, in run\n    \
            go()\n  \
          File \"/app/shop/main.py\", line 9, in <module>\n    \
            raise OrderError(\"no order\")\n\
        shop.errors.OrderError: no order\n";
    assert_eq!(
        read(text),
        "python shop.errors.OrderError: no order [shop/main.py||<module>, ~celery/app.py||run] \
         <- IndexError: list index out of range [shop/db.py||query]"
    );
}

#[test]
fn python_exception_groups_follow_their_first_member() {
    let text = "  + Exception Group Traceback (most recent call last):\n  \
        |   File \"/app/a.py\", line 1, in main\n  |     raise\n  \
        | ExceptionGroup: two failed (2 sub-exceptions)\n  \
        +-+---------------- 1 ----------------\n    \
          | Traceback (most recent call last):\n    \
          |   File \"/app/b.py\", line 2, in work\n    |     x\n    \
          | ValueError: bad 1\n    \
          +---------------- 2 ----------------\n    \
          | Traceback (most recent call last):\n    \
          |   File \"/app/c.py\", line 3, in other\n    \
          | TypeError: bad 2\n    +------------------------------------\n";
    assert_eq!(
        read(text),
        "python ExceptionGroup: two failed (2 sub-exceptions) [a.py||main] <- ValueError: bad 1 [b.py||work]"
    );
}

#[test]
fn node_and_browsers() {
    let text = "TypeError [ERR_X]: Cannot read properties of undefined (reading 'id')\n    \
        at Cart.pay (/app/src/cart.js:10:5)\n    \
        at async Object.run (file:///app/node_modules/bull/lib/job.js:1:2)\n    \
        at processTicksAndRejections (node:internal/process/task_queues:95:5)\n  \
        [cause]: Error: socket hang up\n      at connect (/app/src/net.js:3:1) {\n    code: 'X'\n  }\n";
    assert_eq!(
        read(text),
        "javascript TypeError: Cannot read properties of undefined (reading 'id') \
         [cart.js|Cart|pay, ~job.js||run, ~process/task_queues||processTicksAndRejections] \
         <- Error: socket hang up [net.js||connect]"
    );
    assert_eq!(
        read(
            "pay@https://example.org/static/main.3f2a1b9c.js?v=2:1:200\n@https://example.org/app.js:3:1\n"
        ),
        "javascript :  [static/main.js||pay, example.org/app.js||]"
    );
}

#[test]
fn go_panics_and_errors_with_stack() {
    let text = "panic: runtime error: index out of range [5] with length 3 [recovered]\n\n\
        goroutine 1 [running]:\n\
        panic({0x1, 0x2})\n\t/usr/local/go/src/runtime/panic.go:884 +0x212\n\
        main.(*Cart).Add(0xc000012345, 0x3)\n\t/app/cart.go:12 +0x1d\n\
        github.com/acme/shop/v2/order.process.func1()\n\t/go/pkg/mod/github.com/acme/shop@v1/order.go:8 +0x2\n\
        created by main.main\n\t/app/main.go:8 +0x9\n\n\
        goroutine 7 [chan receive]:\nmain.other()\n\t/app/other.go:1 +0x1\n";
    assert_eq!(
        read(text),
        "go panic: runtime error: index out of range [5] with length 3 \
         [~panic.go||panic, main|(*Cart).Add, ~github.com/acme/shop/v2/order|process]"
            .replace("~panic.go", "~runtime/panic.go")
    );
    let zap = "main.load\n\t/app/main.go:12\nmain.main\n\t/app/main.go:20\nruntime.main\n\t/usr/local/go/src/runtime/proc.go:250";
    assert_eq!(read(zap), "go :  [main|load, main|main, ~runtime|main]");
}

#[test]
fn ruby_with_blocks() {
    let text = "/app/lib/cart.rb:12:in `block (2 levels) in add': no stock (Shop::OutOfStock)\n\
        \tfrom /usr/local/bundle/gems/rake-13/lib/rake.rb:1:in `each'\n\
        \tfrom /app/bin/run:3:in 'Cart#pay'\n";
    assert_eq!(
        read(text),
        "ruby Shop::OutOfStock: no stock [cart.rb||add, ~rake.rb||each, Cart|pay]"
    );
}

#[test]
fn dotnet_with_inner_exceptions_and_async_state_machines() {
    let text = "System.InvalidOperationException: order failed ---> System.IO.IOException: disk\n   \
        at Acme.Db.<QueryAsync>d__12.MoveNext() in C:\\src\\Db.cs:line 12\n   \
        --- End of inner exception stack trace ---\n   \
        at Acme.Cart.<>c__DisplayClass3_0.<Add>b__1(String item)\n\
        --- End of stack trace from previous location ---\n   \
        at System.Runtime.CompilerServices.TaskAwaiter.ThrowForNonSuccess(Task task)\n   \
        at Acme.Cart..ctor()\n";
    assert_eq!(
        read(text),
        "dotnet System.InvalidOperationException: order failed \
         [Acme.Cart|Add, ~System.Runtime.CompilerServices.TaskAwaiter|ThrowForNonSuccess, Acme.Cart|.ctor] \
         <- System.IO.IOException: disk [Acme.Db|QueryAsync]"
    );
}

#[test]
fn php_places_belong_to_the_function_they_are_in() {
    let text = "PHP Fatal error:  Uncaught PDOException: gone in /var/www/src/Db.php:9\nStack trace:\n\
        #0 /var/www/src/Cart.php(12): Shop\\Db->query('x')\n#1 [internal function]: Shop\\Cart->pay()\n#2 {main}\n\n\
        Next Shop\\OrderError: order failed in /var/www/src/Cart.php:15\nStack trace:\n\
        #0 /var/www/index.php(3): Shop\\Cart->pay()\n#1 {main}\n";
    assert_eq!(
        read(text),
        "php Shop\\OrderError: order failed [Shop\\Cart|pay, ~index.php||{main}] \
         <- PDOException: gone [Shop\\Db|query, Shop\\Cart|pay, ~|{main}]"
    );
}

#[test]
fn rust_panics_backtraces_and_anyhow() {
    let text = "thread 'main' panicked at src/cart.rs:4:5:\nno stock\nstack backtrace:\n   \
        0: rust_begin_unwind\n             at /rustc/abc/library/std/src/panicking.rs:645:5\n   \
        1: shop::cart::add::{{closure}}::h0123456789abcdef\n             at ./src/cart.rs:4:5\n   \
        2: core::ops::function::FnOnce::call_once\n";
    assert_eq!(
        read(text),
        "rust panic: no stock [~panicking.rs||rust_begin_unwind, cart.rs||shop::cart::add, ~|core::ops::function::FnOnce::call_once]"
    );
    assert_eq!(
        read("thread 'main' panicked at 'no stock', src/cart.rs:4:5\nnote: run with"),
        "rust panic: no stock [cart.rs||]"
    );
    let anyhow = "Error: order failed\n\nCaused by:\n    0: reading cart\n    1: no such file\n\nStack backtrace:\n   0: shop::main\n             at ./src/main.rs:3:1\n";
    assert_eq!(
        read(anyhow),
        "rust Error: order failed [] <- : reading cart [] <- : no such file [main.rs||shop::main]"
    );
}

#[test]
fn sanitizers_debuggers_and_crash_reports() {
    let text = "==12==ERROR: AddressSanitizer: heap-use-after-free on address 0x60 at pc 0x4\n\
        READ of size 4 at 0x602 thread T0\n    \
        #0 0x4f in __asan_memcpy /llvm/compiler-rt/asan.cpp:22:3\n    \
        #1 0x50 in cart_add(Cart<int>*, int) /src/shop/cart.cc:12:3\n    \
        #2 0x51 in main /src/main.cc:3\n\nfreed by thread T0 here:\n    #0 0x1 in free /x.c:1\n";
    assert_eq!(
        read(text),
        "native AddressSanitizer: heap-use-after-free on address 0x60 at pc 0x4 \
         [~asan.cpp||__asan_memcpy, shop/cart.cc||cart_add, main.cc||main]"
            .replace("~asan.cpp", "~compiler-rt/asan.cpp")
    );
    assert_eq!(
        read(
            "#0  0x00007f in raise () from /lib/libc.so.6\n#1  0x0042 in cart_add (n=3) at cart.c:12\n#2  main (argc=1) at main.c:3"
        ),
        "native :  [~libc.so.6|raise, cart.c||cart_add, main.c||main]"
    );
    let swift = "Shop/main.swift:3: Fatal error: Index out of range\n\
        0   libswiftCore.dylib   0x0000000104a1b2c3 closure #1 in _assertionFailure(_:) + 12\n\
        1   Shop                 0x0000000104a1b2c4 closure #1 in Cart.add(_:) + 52 (Cart.swift:12)\n";
    assert_eq!(
        read(swift),
        "swift Fatal error: Index out of range [~libswiftCore.dylib|_assertionFailure, Shop|Cart.add]"
    );
}

#[test]
fn a_trace_of_two_languages_keeps_both() {
    let text = "Traceback (most recent call last):\n  File \"/app/job.py\", line 3, in run\n    x\n\
        py4j.protocol.Py4JJavaError: An error occurred while calling o1.collect.\n\
        : java.lang.IllegalStateException: no executor\n\
        \tat com.acme.Job.go(Job.java:1)\n";
    assert_eq!(
        read(text),
        "python py4j.protocol.Py4JJavaError: An error occurred while calling o1.collect. [job.py||run] \
         <- java.lang.IllegalStateException: no executor [com.acme.Job|go]"
    );
}

#[test]
fn line_breaks_may_be_escaped() {
    let text = "java.lang.IllegalStateException: x\\n\\tat com.acme.A.b(A.java:1)\\n\\tat com.acme.C.d(C.java:2)";
    assert!(may_be_in(text));
    assert_eq!(read(text), "java java.lang.IllegalStateException: x [com.acme.A|b, com.acme.C|d]");
}

#[test]
fn other_text_is_no_trace() {
    for text in [
        "",
        "one line",
        "two\nlines",
        "at the end of the day\nat noon (sharp)",
        "{\n \"a\": 1\n}",
        "INFO: x\nat 12:30:05",
    ] {
        assert_eq!(read(text), "none", "{text}");
    }
}

#[test]
fn a_megabyte_of_recursion_is_cut_and_keeps_both_ends() {
    let frames = "\tat com.acme.Loop.again(Loop.java:7)\n".repeat(30_000);
    let text = format!(
        "java.lang.StackOverflowError\n{frames}Caused by: com.acme.Root: x\n\tat com.acme.Root.go(R.java:1)\n"
    );
    assert!(text.len() > 1 << 20);
    let arena = Bump::new();
    let trace = Trace::parse(&arena, &text).unwrap();
    assert!(trace.is_cut);
    assert_eq!(trace.exceptions[0].frames.len(), schemas::limits::MAX_STACK_FRAMES);
    assert_eq!(trace.exceptions[1].kind, "com.acme.Root");
    assert!(arena.allocated_bytes() < 1 << 20, "{}", arena.allocated_bytes());
}

#[test]
fn of_a_thousand_causes_the_reported_one_and_the_root_are_kept() {
    let mut text = "a.FirstException: 0\n\tat a.B.c(B.java:1)\n".to_owned();
    for n in 1..1_000 {
        text += &format!("Caused by: a.E{n}Exception: {n}\n\tat a.B.c{n}(B.java:1)\n");
    }
    let arena = Bump::new();
    let trace = Trace::parse(&arena, &text).unwrap();
    assert_eq!(trace.exceptions.len(), schemas::limits::MAX_EXCEPTIONS);
    assert_eq!(trace.exceptions[0].kind, "a.FirstException");
    assert_eq!(trace.exceptions.last().unwrap().kind, "a.E999Exception");
    assert!(trace.is_cut);
}

#[test]
fn of_a_deep_python_recursion_the_end_is_kept() {
    let frames = "  File \"/app/a.py\", line 3, in again\n    again()\n".repeat(3_000);
    let text = format!(
        "Traceback (most recent call last):\n{frames}  File \"/app/a.py\", line 9, in last\n    x\nRecursionError: deep\n"
    );
    let arena = Bump::new();
    let trace = Trace::parse(&arena, &text).unwrap();
    assert_eq!(trace.exceptions[0].frames[0].function, "last");
    assert_eq!(trace.exceptions[0].kind, "RecursionError");
    assert_eq!(trace.exceptions[0].frames.len(), schemas::limits::MAX_STACK_FRAMES);
}

proptest! {
    #[test]
    fn nothing_panics(lines in prop::collection::vec(
        "(\\PC{0,20}|\tat |at a\\.b\\(|File \"|#0 |0: |from |Caused by: |---> |panic: |goroutine 1 \\[x\\]:|\\| |\\+-+ 1 -|\\[cause\\]: |Next |Traceback \\(most recent call last\\):|thread 'x' panicked at |==1==ERROR: )(\\PC{0,20}|X\\.java:1\\)|\", line 1, in f|/a\\.php\\(1\\): f\\(\\)|a\\.b: c|/a/b\\.go:1)",
        0..12,
    )) {
        let text = lines.join("\n");
        let arena = Bump::new();
        if let Some(trace) = Trace::parse(&arena, &text) {
            prop_assert!(!trace.exceptions.is_empty());
            for exception in &trace.exceptions {
                for frame in &exception.frames {
                    name(&arena, frame);
                }
            }
        }
    }
}
