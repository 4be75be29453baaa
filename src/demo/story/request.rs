//! One customer's request on its way through the services. Every hop writes what real services
//! write: a client span, a server span inside it, an access log, now and then an application log.

use super::Wish;
use crate::demo::rng::Rng;
use crate::demo::shop::{Access, Failure, Kind, Level, Log, Service, Shop, Span, Text, Work};

/// How many times slower the inventory's database is while it is slow.
const SLOW_FACTOR: f64 = 400.0;

/// A request under way.
pub(super) struct Request<'a> {
    rng: &'a mut Rng,
    shop: &'a mut Shop,
    slow: bool,
    trace: u128,
    client: String,
    order: Option<u32>,
}

/// How a hop ended.
struct Reply {
    end: i64,
    status: u16,
    failure: Option<Failure>,
}

impl Reply {
    fn good(end: i64) -> Self {
        Self { end, status: 200, failure: None }
    }
}

/// The span a hop runs in.
#[derive(Clone, Copy)]
struct Place {
    service: Service,
    span: u64,
}

/// What a service does with a request: given its own span and its start.
type Handler = fn(&mut Request<'_>, Place, i64) -> Reply;

/// What is asked over HTTP.
struct Ask {
    method: &'static str,
    route: &'static str,
    path: String,
}

impl Ask {
    fn new(method: &'static str, route: &'static str) -> Self {
        Self { method, route, path: route.to_owned() }
    }
}

impl<'a> Request<'a> {
    pub(super) fn new(rng: &'a mut Rng, shop: &'a mut Shop, slow: bool) -> Self {
        // The high half is what Datadog's tracers put there: seconds, zeros.
        let trace = u128::from(rng.bits() >> 32) << 96 | u128::from(rng.bits() | 1);
        let client = format!("203.0.113.{}", 1 + rng.below(250));
        Self { rng, shop, slow, trace, client, order: None }
    }

    /// Serves it; gives the value of the order in cents if one was placed.
    pub(super) fn serve(mut self, wish: Wish, at: i64) -> Option<u32> {
        let product = 1 + self.rng.below(400);
        let (ask, handler): (Ask, Handler) = match wish {
            Wish::Home => (Ask::new("GET", "/"), home),
            Wish::Product => (
                Ask { path: format!("/product/{product}"), ..Ask::new("GET", "/product/{id}") },
                product_page,
            ),
            Wish::AddToCart => (Ask::new("POST", "/cart"), add_to_cart),
            Wish::Pay => (Ask::new("POST", "/checkout"), pay),
        };
        self.server(Service::Frontend, 0, &ask, at, handler);
        self.order
    }

    /// `from` asks `to`: client span, a little network, server span, a little network.
    fn call(&mut self, from: Place, to: Service, ask: &Ask, at: i64, handler: Handler) -> Reply {
        let client = self.span_id();
        let there = at + self.rng.latency(150.0);
        let reply = self.server(to, client, ask, there, handler);
        let end = reply.end + self.rng.latency(150.0);
        let failure = (reply.status >= 500).then(|| Failure {
            kind: "HttpError",
            message: format!("{} answered {}", to.name(), reply.status),
            stack: String::new(),
        });
        let work = http(ask, reply.status, Some(to));
        self.span(from.service, client, from.span, Kind::Client, (at, end), work, failure.clone());
        Reply { end, status: reply.status, failure }
    }

    fn server(
        &mut self,
        service: Service,
        parent: u64,
        ask: &Ask,
        at: i64,
        handler: Handler,
    ) -> Reply {
        let here = Place { service, span: self.span_id() };
        let begun = at + self.rng.latency(400.0);
        let mut reply = handler(self, here, begun);
        reply.end += self.rng.latency(300.0);
        let work = http(ask, reply.status, None);
        let failure = reply.failure.clone();
        self.span(service, here.span, parent, Kind::Server, (at, reply.end), work, failure);
        let access = Access {
            method: ask.method,
            path: ask.path.clone(),
            status: reply.status,
            bytes: 200 + u32::try_from(self.rng.below(20_000)).unwrap_or(0),
            client: if parent == 0 { self.client.clone() } else { "10.0.0.7".to_owned() },
            duration_us: (reply.end - at) / 1_000,
        };
        let level = if reply.status >= 500 { Level::Error } else { Level::Info };
        self.log(here, reply.end, level, Text::Access(access));
        reply
    }

    /// A statement on the service's database.
    fn statement(
        &mut self,
        here: Place,
        system: &'static str,
        statement: &'static str,
        at: i64,
        typical_us: f64,
    ) -> Reply {
        let slow = self.slow && here.service == Service::Inventory && system == "postgresql";
        let duration = self.rng.latency(if slow { typical_us * SLOW_FACTOR } else { typical_us });
        let end = at + duration;
        let failure = (slow && self.rng.chance(0.05)).then(|| Failure {
            kind: "psycopg.errors.QueryCanceled",
            message: "canceling statement due to statement timeout".to_owned(),
            stack: stack(
                "inventory/db.py",
                "fetch",
                "psycopg.errors.QueryCanceled: canceling statement due to statement timeout",
            ),
        });
        let rows = u32::try_from(self.rng.below(50)).unwrap_or(0);
        let id = self.span_id();
        let work = Work::Database { system, statement, rows };
        self.span(here.service, id, here.span, Kind::Client, (at, end), work, failure.clone());
        if slow {
            let duration_ms = u32::try_from(duration / 1_000_000).unwrap_or(u32::MAX);
            self.log(here, end, Level::Warn, Text::SlowQuery { database: "db01", duration_ms });
        }
        let status = if failure.is_some() { 500 } else { 200 };
        Reply { end, status, failure }
    }

    fn say(
        &mut self,
        here: Place,
        at: i64,
        level: Level,
        message: String,
        failure: Option<Failure>,
    ) {
        self.log(here, at, level, Text::Application { message, failure });
    }

    fn log(&mut self, here: Place, time_ns: i64, level: Level, text: Text) {
        let context = Some((self.trace, here.span));
        self.shop.logs.push(Log { time_ns, service: here.service, level, context, text });
    }

    #[expect(clippy::too_many_arguments, reason = "one span is that many facts")]
    fn span(
        &mut self,
        service: Service,
        id: u64,
        parent: u64,
        kind: Kind,
        (start_ns, end): (i64, i64),
        work: Work,
        failure: Option<Failure>,
    ) {
        let duration_ns = end - start_ns;
        let trace = self.trace;
        self.shop.spans.push(Span {
            trace,
            id,
            parent,
            service,
            kind,
            start_ns,
            duration_ns,
            work,
            failure,
        });
    }

    fn span_id(&mut self) -> u64 {
        self.rng.bits() | 1
    }
}

fn http(ask: &Ask, status: u16, peer: Option<Service>) -> Work {
    Work::Http { method: ask.method, route: ask.route, path: ask.path.clone(), status, peer }
}

fn stack(file: &str, function: &str, last: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"/app/{file}\", line 88, in {function}\n    \
         return self.run(statement)\n{last}"
    )
}

fn home(request: &mut Request<'_>, here: Place, at: i64) -> Reply {
    let ask = Ask::new("GET", "/recommendations");
    let mut reply = request.call(here, Service::Recommendation, &ask, at, |request, here, at| {
        let ask = Ask::new("GET", "/products");
        request.call(here, Service::Inventory, &ask, at, products)
    });
    if reply.status >= 500 {
        // The page is shown without recommendations: a failure inside is none for the customer.
        let message = "recommendations left out: inventory failed".to_owned();
        request.say(here, reply.end, Level::Warn, message, None);
        reply = Reply::good(reply.end);
    }
    reply
}

fn product_page(request: &mut Request<'_>, here: Place, at: i64) -> Reply {
    if request.rng.chance(0.02) {
        return Reply { end: at + 500_000, status: 404, failure: None };
    }
    request.call(here, Service::Inventory, &Ask::new("GET", "/products/{id}"), at, products)
}

fn products(request: &mut Request<'_>, here: Place, at: i64) -> Reply {
    request.statement(
        here,
        "postgresql",
        "SELECT id, name, price, stock FROM products WHERE id = $1",
        at,
        2_500.0,
    )
}

fn add_to_cart(request: &mut Request<'_>, here: Place, at: i64) -> Reply {
    request.call(here, Service::Cart, &Ask::new("POST", "/items"), at, |request, here, at| {
        let stock =
            request.call(here, Service::Inventory, &Ask::new("GET", "/stock/{id}"), at, products);
        if stock.status >= 500 {
            return stock;
        }
        let saved = request.statement(here, "redis", "HSET cart:? item ?", stock.end, 400.0);
        let items = 1 + request.rng.below(9);
        request.say(here, saved.end, Level::Info, format!("item added, cart holds {items}"), None);
        saved
    })
}

fn pay(request: &mut Request<'_>, here: Place, at: i64) -> Reply {
    request.call(here, Service::Checkout, &Ask::new("POST", "/orders"), at, order)
}

fn order(request: &mut Request<'_>, here: Place, at: i64) -> Reply {
    let cart =
        request.call(here, Service::Cart, &Ask::new("GET", "/items"), at, |request, here, at| {
            request.statement(here, "redis", "HGETALL cart:?", at, 350.0)
        });
    let stock = request.call(
        here,
        Service::Inventory,
        &Ask::new("POST", "/reservations"),
        cart.end,
        |request, here, at| {
            request.statement(
                here,
                "postgresql",
                "UPDATE products SET stock = stock - $2 WHERE id = $1",
                at,
                4_000.0,
            )
        },
    );
    if stock.status >= 500 {
        request.say(
            here,
            stock.end,
            Level::Error,
            "order refused: no reservation".to_owned(),
            stock.failure.clone(),
        );
        return Reply { status: 503, ..stock };
    }
    let paid =
        request.call(here, Service::Payment, &Ask::new("POST", "/charges"), stock.end, charge);
    if paid.status >= 500 {
        return Reply { status: 502, ..paid };
    }
    let saved = request.statement(
        here,
        "postgresql",
        "INSERT INTO orders VALUES ($1, $2, $3)",
        paid.end,
        3_000.0,
    );
    let cents = 500 + u32::try_from(request.rng.below(20_000)).unwrap_or(0);
    let number = 100_000 + request.rng.below(900_000);
    let message = format!("order {number} placed, {}.{:02} EUR", cents / 100, cents % 100);
    request.say(here, saved.end, Level::Info, message, None);
    request.order = Some(cents);
    saved
}

fn charge(request: &mut Request<'_>, here: Place, at: i64) -> Reply {
    let end = at + request.rng.latency(45_000.0);
    if request.rng.chance(0.03) {
        let provider = request.rng.pick(&["northbank", "paywell", "cardhub"]);
        let message = format!("provider {provider} timed out after 800 ms");
        let failure = Failure {
            kind: "com.shop.payment.ProviderTimeout",
            stack: format!(
                "com.shop.payment.ProviderTimeout: {message}\n\tat com.shop.payment.Charges.charge(Charges.java:131)\n\t\
                 at com.shop.payment.Api.post(Api.java:57)"
            ),
            message,
        };
        let end = end + 800_000_000;
        request.say(here, end, Level::Error, "charge failed".to_owned(), Some(failure.clone()));
        return Reply { end, status: 504, failure: Some(failure) };
    }
    request.say(here, end, Level::Info, "charge accepted".to_owned(), None);
    Reply::good(end)
}
