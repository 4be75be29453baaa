//! CONTRACT stream -> query: the bytes of a sketch column.
//!
//! A DDSketch (Masson, Rim, Lee: "DDSketch", VLDB 2019) of relative accuracy 0.01 and 2048 bins.
//! Layout: version byte 1, the low 32 bits of the XXH3-64 of the rest (little endian), then the
//! encoding of Datadog's sketches-java, which other tools can merge after skipping five bytes. The
//! checksum is there because the library panics on some bytes it did not write.

use sketches_ddsketch::{Config, DDSketch};

/// A mergeable sketch of measurements.
#[derive(Clone)]
pub struct Sketch(DDSketch);

/// Bytes that are no sketch of ours.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not a DDSketch with relative accuracy 0.01: {0}")]
pub struct SketchError(String);

impl Default for Sketch {
    fn default() -> Self {
        Self::new()
    }
}

impl Sketch {
    /// An empty sketch.
    pub fn new() -> Self {
        Self(DDSketch::new(Config::defaults()))
    }

    /// Adds a measurement `count` times. Values that are not finite are not measurements: ignored.
    pub fn add(&mut self, value: f64, count: u64) {
        if value.is_finite() && count > 0 {
            self.0.add_with_count(value, count);
        }
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Sketch) -> Result<(), SketchError> {
        self.0.merge(&other.0).map_err(|error| SketchError(error.to_string()))
    }

    /// The value at quantile `q` (0 to 1), within one percent; `None` when empty.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.0.quantile(q.clamp(0.0, 1.0)).ok().flatten()
    }

    /// Number of measurements.
    pub fn count(&self) -> u64 {
        self.0.count() as u64
    }

    /// The column's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = self.0.to_java_bytes();
        let mut bytes = Vec::with_capacity(body.len() + 5);
        bytes.push(VERSION);
        bytes.extend_from_slice(&checksum(&body));
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads a column's bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        let refuse = |reason: &str| Err(SketchError(reason.to_owned()));
        let Some((&[version, a, b, c, d], body)) = bytes.split_first_chunk::<5>() else {
            return refuse("shorter than its header");
        };
        if version != VERSION {
            return refuse("unknown version byte");
        }
        if [a, b, c, d] != checksum(body) {
            return refuse("checksum does not match");
        }
        DDSketch::from_java_bytes(body).map(Self).map_err(|error| SketchError(format!("{error:?}")))
    }
}

/// First byte of a sketch column.
const VERSION: u8 = 1;

/// Low 32 bits of XXH3-64, little endian.
fn checksum(body: &[u8]) -> [u8; 4] {
    (xxhash_rust::xxh3::xxh3_64(body) as u32).to_le_bytes()
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sketch(count {})", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_read_back_with_the_same_quantiles(values in prop::collection::vec(-1e9f64..1e9, 1..200)) {
            let mut sketch = Sketch::new();
            values.iter().for_each(|value| sketch.add(*value, 1));
            let read = Sketch::from_bytes(&sketch.to_bytes()).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(read.count(), values.len() as u64);
            for q in [0.1, 0.5, 0.9] {
                let (a, b) = (sketch.quantile(q).unwrap_or(0.0), read.quantile(q).unwrap_or(0.0));
                prop_assert!((a - b).abs() <= 0.021 * a.abs().max(1e-6), "{} {}", a, b);
            }
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Sketch::from_bytes(&bytes);
        }
    }

    #[test]
    fn merging_equals_adding_to_one() {
        let (mut a, mut b, mut both) = (Sketch::new(), Sketch::new(), Sketch::new());
        for value in 1..=1000 {
            if value % 3 == 0 {
                a.add(f64::from(value), 1)
            } else {
                b.add(f64::from(value), 1)
            }
            both.add(f64::from(value), 1);
        }
        assert!(a.merge(&b).is_ok());
        assert_eq!(a.quantile(0.99), both.quantile(0.99));
        assert_eq!(a.count(), 1000);
    }
}
