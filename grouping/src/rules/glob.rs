//! Patterns with `*` and `?`.

use schemas::limits::MAX_GROUPING_PATTERN_BYTES;

/// A pattern: `*` (and `**`) stands for any characters, `?` for one; everything else for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    pattern: Box<[u8]>,
    ignore_case: bool,
}

impl Glob {
    /// Compiles a pattern, or says why it is none.
    pub(crate) fn new(pattern: &str, ignore_case: bool) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("an empty pattern matches nothing: write `*` for everything".to_owned());
        }
        if pattern.len() > MAX_GROUPING_PATTERN_BYTES {
            let length = pattern.len();
            return Err(format!(
                "a pattern of {length} bytes: at most {MAX_GROUPING_PATTERN_BYTES}"
            ));
        }
        // Runs of stars mean one.
        let mut bytes: Vec<u8> = Vec::with_capacity(pattern.len());
        for byte in pattern.bytes() {
            if byte != b'*' || bytes.last() != Some(&b'*') {
                bytes.push(if ignore_case { byte.to_ascii_lowercase() } else { byte });
            }
        }
        Ok(Self { pattern: bytes.into(), ignore_case })
    }

    /// Whether the whole of `text` matches. Goes back to the last star only, which is enough and
    /// bounds the work by pattern times text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let (text, pattern) = (text.as_bytes(), &self.pattern);
        let (mut at, mut step) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while at < text.len() {
            let byte = if self.ignore_case { text[at].to_ascii_lowercase() } else { text[at] };
            match pattern.get(step) {
                Some(b'*') => {
                    star = Some((step, at));
                    step += 1;
                }
                Some(wanted) if *wanted == byte || *wanted == b'?' => {
                    (at, step) = (at + 1, step + 1);
                }
                _ => match &mut star {
                    Some((star_step, star_at)) => {
                        *star_at += 1;
                        (step, at) = (*star_step + 1, *star_at);
                    }
                    None => return false,
                },
            }
        }
        pattern[step..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_the_whole_text() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a**c", "abbc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("com.acme.*", "com.acme.shop.Cart", true),
            ("/app/*.py", "/app/x/y.py", true),
            ("Été*", "Été 1", true),
        ] {
            let glob = Glob::new(pattern, false).unwrap();
            assert_eq!(glob.matches(text), expected, "{pattern} {text}");
        }
        assert!(Glob::new("TIME*", true).unwrap().matches("Timeout"));
        assert!(Glob::new("", false).is_err());
        assert!(Glob::new(&"a".repeat(MAX_GROUPING_PATTERN_BYTES + 1), false).is_err());
    }
}
