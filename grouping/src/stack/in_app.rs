//! Whether a frame is the user's own code: whatever is not known to be a library, a runtime or
//! generated. Lists after Sentry's stack trace rules (`enhancement-configs`) and what language
//! runtimes and package managers call their places; the configuration adds to them.

use super::frame::{Frame, Language};

/// Whether `frame` is the user's own code.
pub(crate) fn is_in_app(frame: &Frame<'_>) -> bool {
    match frame.language {
        Language::Java => !begins(frame.module, JAVA),
        Language::Python => python(frame),
        Language::JavaScript => javascript(frame),
        Language::Go => go(frame),
        Language::Ruby => {
            !frame.file.starts_with('<') && !has(frame.file, RUBY) && frame.file != "(eval)"
        }
        Language::DotNet => !begins(frame.module, DOT_NET),
        Language::Php => php(frame),
        Language::Rust => rust(frame),
        Language::Swift => swift(frame),
        Language::Native => native(frame),
        Language::Unknown => true,
    }
}

fn begins(text: &str, list: &[&str]) -> bool {
    list.iter().any(|prefix| text.starts_with(prefix))
}

fn has(text: &str, list: &[&str]) -> bool {
    list.iter().any(|part| memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some())
}

const JAVA: &[&str] = &[
    "java.",
    "javax.",
    "jakarta.",
    "jdk.",
    "sun.",
    "com.sun.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "akka.",
    "groovy.",
    "clojure.",
    "org.apache.",
    "org.springframework.",
    "org.hibernate.",
    "org.jboss.",
    "org.eclipse.",
    "org.glassfish.",
    "org.junit.",
    "org.mockito.",
    "org.codehaus.",
    "org.postgresql.",
    "org.slf4j.",
    "org.aspectj.",
    "org.quartz.",
    "org.mongodb.",
    "org.jooq.",
    "org.redisson.",
    "org.elasticsearch.",
    "com.fasterxml.",
    "com.google.",
    "com.mysql.",
    "com.zaxxer.",
    "com.mongodb.",
    "com.microsoft.",
    "com.amazonaws.",
    "com.netflix.",
    "com.datastax.",
    "com.rabbitmq.",
    "com.squareup.",
    "com.esotericsoftware.",
    "com.datadog.",
    "datadog.",
    "software.amazon.",
    "ch.qos.logback.",
    "io.netty.",
    "io.grpc.",
    "io.micrometer.",
    "io.micronaut.",
    "io.quarkus.",
    "io.vertx.",
    "io.reactivex.",
    "io.opentelemetry.",
    "io.sentry.",
    "io.undertow.",
    "io.lettuce.",
    "io.jsonwebtoken.",
    "io.confluent.",
    "reactor.",
    "rx.",
    "retrofit2.",
    "okhttp3.",
    "okio.",
    "feign.",
    "net.bytebuddy.",
    "net.sf.",
    "oracle.",
    "play.",
    "redis.clients.",
    "android.",
    "androidx.",
    "dalvik.",
    "com.android.",
    "freemarker.",
    "liquibase.",
    "junit.",
];

const DOT_NET: &[&str] = &[
    "System.",
    "Microsoft.",
    "Mono.",
    "MS.",
    "Newtonsoft.",
    "Npgsql.",
    "MySql.",
    "Dapper.",
    "Serilog.",
    "NLog.",
    "log4net.",
    "Autofac.",
    "AutoMapper.",
    "Castle.",
    "Grpc.",
    "MediatR.",
    "MassTransit.",
    "NHibernate.",
    "Polly.",
    "Quartz.",
    "RabbitMQ.",
    "StackExchange.",
    "Confluent.",
    "MongoDB.",
    "OpenTelemetry.",
    "Datadog.",
    "Sentry.",
    "Xunit.",
    "NUnit.",
    "Moq.",
    "Swashbuckle.",
    "Hangfire.",
    "Amazon.",
    "Azure.",
    "Google.",
    "IdentityServer4.",
    "FSharp.Core.",
];

const RUBY: &[&str] =
    &["/gems/", "/lib/ruby/", "/rubygems/", "/vendor/bundle/", "/.rbenv/", "/.rvm/"];

const PYTHON: &[&str] = &[
    "site-packages",
    "dist-packages",
    "/lib/python2",
    "/lib/python3",
    "\\lib\\",
    "/lib64/python",
    "/python-wheels/",
    ".zip/py4j/",
    "/pyspark/",
    ".egg/",
];

fn python(frame: &Frame<'_>) -> bool {
    // `<frozen importlib._bootstrap>` is the interpreter, `<stdin>` is the user.
    !has(frame.file, PYTHON) && !frame.file.starts_with("<frozen ")
}

fn javascript(frame: &Frame<'_>) -> bool {
    let file = frame.file.strip_prefix("file://").unwrap_or(frame.file);
    let known = file.contains('/') || file.contains('\\');
    // Files of Node itself have no directory, or a scheme of their own.
    known
        && !has(
            file,
            &["node_modules", "/webpack/", "webpack/bootstrap", "webpack/runtime", "/.pnp."],
        )
        && !begins(
            file,
            &["node:", "internal/", "<", "native", "index ", "chrome-extension:", "moz-extension:"],
        )
}

fn go(frame: &Frame<'_>) -> bool {
    let domain = frame.module.split('/').next().unwrap_or_default();
    // The standard library's packages have no domain; a program's own is `main`, or a module
    // without a domain that lies outside of the Go root.
    let root =
        has(frame.file, &["/go/src/", "/libexec/src/", "/go/pkg/", "/usr/lib/go", "/sdk/go"]);
    let library = has(frame.file, &["/pkg/mod/", "/vendor/"]) || frame.module.contains("/vendor/");
    let standard = domain == "runtime" || (root && !domain.contains('.') && domain != "main");
    !standard && !library && !begins(frame.module, &["golang.org/x/", "google.golang.org/"])
}

fn php(frame: &Frame<'_>) -> bool {
    let library = has(frame.file, &["/vendor/", "\\vendor\\", "/wp-includes/", "phar://"]);
    let internal = frame.file.is_empty()
        && begins(
            frame.module,
            &[
                "Illuminate\\",
                "Symfony\\",
                "Doctrine\\",
                "GuzzleHttp\\",
                "PDO",
                "Twig\\",
                "Monolog\\",
            ],
        );
    !library && !internal && frame.function != "{main}"
}

fn rust(frame: &Frame<'_>) -> bool {
    let name = frame.function.trim_start_matches('<');
    let runtime = begins(
        name,
        &[
            "std::",
            "core::",
            "alloc::",
            "rust_",
            "__rust",
            "___rust",
            "_start",
            "__libc",
            "start_thread",
            "clone",
            "tokio::",
            "futures",
            "hyper",
            "tower",
            "axum::",
            "actix",
            "rayon",
            "anyhow::",
            "eyre::",
            "tracing",
            "serde",
            "backtrace::",
            "panic_unwind",
            "test::",
            "main\0",
        ],
    );
    !runtime
        && !has(
            frame.file,
            &[
                "/rustc/",
                "/.cargo/registry/",
                "/.cargo/git/",
                "/.rustup/",
                "/library/std/",
                "/library/core/",
            ],
        )
}

fn swift(frame: &Frame<'_>) -> bool {
    !begins(
        frame.module,
        &[
            "libsystem",
            "libswift",
            "libobjc",
            "libdispatch",
            "libdyld",
            "dyld",
            "libc",
            "libpthread",
            "CoreFoundation",
            "Foundation",
            "UIKit",
            "UIKitCore",
            "SwiftUI",
            "AttributeGraph",
            "GraphicsServices",
            "QuartzCore",
            "CFNetwork",
            "WebKit",
            "JavaScriptCore",
            "AppKit",
            "CoreData",
            "Combine",
            "IOKit",
            "Security",
            "ld-linux",
        ],
    ) && !begins(frame.function, &["_swift_", "swift_", "__swift", "_dispatch", "Swift."])
}

fn native(frame: &Frame<'_>) -> bool {
    let runtime = begins(
        frame.function,
        &[
            "__asan",
            "__interceptor",
            "__sanitizer",
            "__ubsan",
            "__tsan",
            "__msan",
            "asan_",
            "std::",
            "__gnu_cxx::",
            "__cxa",
            "__libc_",
            "_start",
            "start_thread",
            "clone",
            "__clone",
            "raise",
            "abort",
            "__GI_",
            "__pthread",
            "pthread_",
            "malloc",
            "free",
            "operator new",
            "operator delete",
            "boost::",
            "_dl_",
            "__assert",
            "mem",
            "BaseThreadInitThunk",
            "RtlUserThreadStart",
            "<signal handler called>",
        ],
    );
    let library = begins(
        frame.module,
        &[
            "/lib/",
            "/lib64/",
            "/usr/lib",
            "/system/",
            "C:\\Windows",
            "ntdll",
            "kernel32",
            "KERNELBASE",
        ],
    );
    !runtime
        && !library
        && !has(
            frame.file,
            &["/usr/include/", "compiler-rt", "sysdeps", "/libc/", "/glibc", "/c++/"],
        )
}
