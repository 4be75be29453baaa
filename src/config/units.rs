//! Values with units: durations (`500ms`, `5s`, `2m`, `1h`, `30d`), sizes (`512MiB`, `2GiB`, bytes), paths
//! and `${NAME}` references to environment variables.

use std::path::PathBuf;
use std::time::Duration;

/// Why a value could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnitError {
    #[error("{0:?} is no duration")]
    Duration(String),
    #[error("{0:?} is no size")]
    Size(String),
    #[error("environment variable {0} is not set")]
    Unset(String),
    #[error("{0:?} has a `${{` without its `}}`")]
    Unclosed(String),
}

/// `500ms`, `5s`, `2m`, `1h`, `30d`: a whole number and its unit. The unit is never left out, so that
/// nobody has to remember which one it was.
pub(super) fn duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text);
    let bad = || UnitError::Duration(text.to_owned());
    let number: u64 = number.parse().map_err(|_| bad())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(bad)
}

/// `1048576`, `512MiB`, `2GiB`: bytes, powers of 1,024 (`MB` and `GB` are powers of 1,000).
pub(super) fn size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text);
    let bad = || UnitError::Size(text.to_owned());
    let number: u64 = number.parse().map_err(|_| bad())?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(bad()),
    };
    number.checked_mul(factor).ok_or_else(bad)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    (number, unit.trim_start())
}

/// Replaces `${NAME}` and `${NAME:-default}` by what `env` says; `$${` stands for `${`.
pub(super) fn expand(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<String, UnitError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(escaped) = rest.get(..at).and_then(|head| head.strip_suffix('$')) {
            out.push_str(escaped);
            out.push_str("${");
            rest = rest.get(at + 2..).unwrap_or_default();
            continue;
        }
        out.push_str(rest.get(..at).unwrap_or_default());
        let inner = rest.get(at + 2..).unwrap_or_default();
        let Some((reference, tail)) = inner.split_once('}') else {
            return Err(UnitError::Unclosed(text.to_owned()));
        };
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (reference, None),
        };
        let value = env(name).filter(|value| !value.is_empty()).or(default);
        out.push_str(&value.ok_or_else(|| UnitError::Unset(name.to_owned()))?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

/// The directory a storage URL means; `None` for another scheme than `file`.
pub(super) fn local_path(url: &str) -> Option<PathBuf> {
    match url.split_once("://") {
        None => Some(PathBuf::from(url)),
        Some(("file", path)) => Some(PathBuf::from(path)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_and_sizes_name_their_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2 m"), Ok(Duration::from_secs(120)));
        assert!(duration("5").is_err() && duration("s").is_err() && duration("-1s").is_err());
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("17"), Ok(17));
        assert!(size("99999999999TiB").is_err());
    }

    #[test]
    fn references_are_replaced_or_named() {
        let env = |name: &str| (name == "PASS").then(|| "s3cret".to_owned());
        assert_eq!(expand("a${PASS}b", &env).as_deref(), Ok("as3cretb"));
        assert_eq!(expand("${NO:-x}", &env).as_deref(), Ok("x"));
        assert_eq!(expand("$${PASS}", &env).as_deref(), Ok("${PASS}"));
        assert_eq!(expand("${NO}", &env), Err(UnitError::Unset("NO".into())));
        assert!(expand("${PASS", &env).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text: String) {
            let _ = (duration(&text), size(&text), local_path(&text));
            let _ = expand(&text, &|_| None);
        }
    }
}
