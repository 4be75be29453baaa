//! Ten minutes of the shop: customers look, fill carts and pay; load balancers ask for health; from
//! minute six to seven the inventory's database is slow; now and then a payment fails.

use super::rng::Rng;
use super::shop::{Access, HEALTH_PATH, Level, Log, Measured, Service, Shop, Text};

mod request;

use request::Request;

/// Nanoseconds per second.
const SECOND: i64 = 1_000_000_000;
/// Length of the story, seconds.
pub(super) const SECONDS: i64 = 600;
/// Seconds between two health checks of a service.
const HEALTH_SECONDS: i64 = 5;
/// Width of a measurement, seconds.
const MEASURE_SECONDS: i64 = 10;
/// When the database is slow, seconds into the story.
const SLOW: std::ops::Range<i64> = 360..420;
/// Customers' requests per second, on average.
const RATE: u64 = 8;

/// What a customer may do, and how often out of a hundred.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Home,
    Product,
    AddToCart,
    Pay,
}

/// Tells the story that ends at `end_ns`.
pub(super) fn tell(seed: u64, end_ns: i64) -> Shop {
    let mut rng = Rng::new(seed);
    let start = end_ns - SECONDS * SECOND;
    let mut shop = Shop::default();
    let mut orders: Vec<(i64, u32)> = Vec::new();
    for second in 0..SECONDS {
        let slow = SLOW.contains(&second);
        for _ in 0..RATE + rng.below(5) - 2 {
            let at = start + second * SECOND + i64::try_from(rng.below(1_000_000_000)).unwrap_or(0);
            let wish = wish(&mut rng);
            let request = Request::new(&mut rng, &mut shop, slow);
            if let Some(cents) = request.serve(wish, at) {
                orders.push((at, cents));
            }
        }
        if second % HEALTH_SECONDS == 0 {
            health_checks(&mut rng, start + second * SECOND, &mut shop);
        }
    }
    for from in (0..SECONDS).step_by(MEASURE_SECONDS as usize) {
        shop.measured.push(measure(&mut rng, start + from * SECOND, &orders));
    }
    shop.spans.sort_by_key(|span| (span.start_ns, span.id));
    shop.logs.sort_by_key(|log| log.time_ns);
    shop
}

fn wish(rng: &mut Rng) -> Wish {
    match rng.below(100) {
        0..35 => Wish::Home,
        35..75 => Wish::Product,
        75..90 => Wish::AddToCart,
        _ => Wish::Pay,
    }
}

fn health_checks(rng: &mut Rng, at: i64, shop: &mut Shop) {
    for service in Service::ALL {
        let access = Access {
            method: "GET",
            path: HEALTH_PATH.to_owned(),
            status: 200,
            bytes: 2,
            client: "10.0.0.2".to_owned(),
            duration_us: rng.latency(300.0) / 1_000,
        };
        let time_ns = at + i64::try_from(rng.below(900_000_000)).unwrap_or(0);
        shop.logs.push(Log {
            time_ns,
            service,
            level: Level::Info,
            context: None,
            text: Text::Access(access),
        });
    }
}

fn measure(rng: &mut Rng, from_ns: i64, orders: &[(i64, u32)]) -> Measured {
    let to_ns = from_ns + MEASURE_SECONDS * SECOND;
    let within = orders.iter().filter(|(at, _)| (from_ns..to_ns).contains(at));
    let order_values: Vec<u32> = within.map(|(_, cents)| *cents).collect();
    Measured {
        from_ns,
        to_ns,
        in_flight: i64::try_from(rng.below(6)).unwrap_or(0),
        orders: order_values.len() as u64,
        order_values,
    }
}
