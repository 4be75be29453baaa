//! The shop: its services, and what they would tell about themselves. The model is what the
//! encoders send and what the oracle counts; neither looks at the other's result.

/// A service of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Service {
    Frontend,
    Cart,
    Inventory,
    Recommendation,
    Checkout,
    Payment,
}

/// How a service is instrumented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Datadog tracer (v0.4) and Datadog logs.
    Datadog,
    /// OpenTelemetry SDK: OTLP over HTTP.
    Otlp,
}

impl Service {
    pub(super) const ALL: [Service; 6] = [
        Service::Frontend,
        Service::Cart,
        Service::Inventory,
        Service::Recommendation,
        Service::Checkout,
        Service::Payment,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Service::Frontend => "web-frontend",
            Service::Cart => "cart",
            Service::Inventory => "inventory",
            Service::Recommendation => "recommendation",
            Service::Checkout => "checkout",
            Service::Payment => "payment",
        }
    }

    pub(super) fn dialect(self) -> Dialect {
        match self {
            Service::Frontend | Service::Cart | Service::Inventory => Dialect::Datadog,
            Service::Recommendation | Service::Checkout | Service::Payment => Dialect::Otlp,
        }
    }

    pub(super) fn language(self) -> &'static str {
        match self {
            Service::Frontend => "nodejs",
            Service::Cart | Service::Inventory | Service::Recommendation => "python",
            Service::Checkout => "go",
            Service::Payment => "java",
        }
    }

    pub(super) fn version(self) -> &'static str {
        match self {
            Service::Frontend => "3.2.0",
            Service::Cart => "1.9.4",
            Service::Inventory => "2.0.1",
            Service::Recommendation => "0.7.3",
            Service::Checkout => "5.1.0",
            Service::Payment => "4.4.2",
        }
    }

    pub(super) fn host(self) -> &'static str {
        match self {
            Service::Frontend => "shop-web-1",
            Service::Cart | Service::Inventory => "shop-app-1",
            Service::Recommendation | Service::Checkout => "shop-app-2",
            Service::Payment => "shop-pay-1",
        }
    }
}

/// Environment of everything here.
pub(super) const ENV: &str = "demo";

/// Who asked whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Client,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: &'static str,
    pub(super) message: String,
    pub(super) stack: String,
}

/// What the far end of a client span is, or what a server span served.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Work {
    /// An HTTP request, seen from the span's side.
    Http {
        method: &'static str,
        route: &'static str,
        path: String,
        status: u16,
        peer: Option<Service>,
    },
    /// A database statement: `postgresql` or `redis`.
    Database { system: &'static str, statement: &'static str, rows: u32 },
}

/// One span.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) trace: u128,
    pub(super) id: u64,
    /// Zero for a root.
    pub(super) parent: u64,
    pub(super) service: Service,
    pub(super) kind: Kind,
    pub(super) start_ns: i64,
    pub(super) duration_ns: i64,
    pub(super) work: Work,
    pub(super) failure: Option<Failure>,
}

impl Span {
    /// `GET /product/{id}`, or the statement.
    pub(super) fn resource(&self) -> String {
        match &self.work {
            Work::Http { method, route, .. } => format!("{method} {route}"),
            Work::Database { statement, .. } => (*statement).to_owned(),
        }
    }
}

/// Severity of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        }
    }
}

/// One log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Log {
    pub(super) time_ns: i64,
    pub(super) service: Service,
    pub(super) level: Level,
    /// Trace and span it was written in.
    pub(super) context: Option<(u128, u64)>,
    pub(super) text: Text,
}

/// What a log says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Text {
    /// A line of the web server.
    Access(Access),
    /// A line of the application.
    Application { message: String, failure: Option<Failure> },
    /// A line of a database driver that knows only plain text: the worker's grok rules read it.
    SlowQuery { database: &'static str, duration_ms: u32 },
}

/// A line of the web server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Access {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) bytes: u32,
    pub(super) client: String,
    /// Microseconds, so that a printed millisecond value with three decimals is exact.
    pub(super) duration_us: i64,
}

impl Access {
    pub(super) fn duration_ms(&self) -> f64 {
        self.duration_us as f64 / 1_000.0
    }

    pub(super) fn is_health_check(&self) -> bool {
        self.path == HEALTH_PATH
    }
}

/// What load balancers ask every few seconds.
pub(super) const HEALTH_PATH: &str = "/healthz";

/// What checkout measured in ten seconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
    pub(super) in_flight: i64,
    pub(super) orders: u64,
    /// Value of each order, in cents.
    pub(super) order_values: Vec<u32>,
}

/// Everything the shop told in its ten minutes, each list ordered by time.
#[derive(Debug, Clone, Default)]
pub(super) struct Shop {
    pub(super) spans: Vec<Span>,
    pub(super) logs: Vec<Log>,
    pub(super) measured: Vec<Measured>,
}
