//! What a match must be beyond its form.

use std::net::Ipv6Addr;

/// A check of the library's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Luhn's checksum of payment cards (ISO/IEC 7812-1).
    Luhn,
    /// ISO 7064 MOD 97-10 of bank accounts (ISO 13616).
    Iban,
    /// Numbers the US Social Security Administration gives out.
    Ssn,
    /// An IPv6 address with more than its unspecified form.
    Ipv6,
}

impl Check {
    pub(super) fn holds(self, text: &str) -> bool {
        match self {
            Self::Luhn => luhn(text),
            Self::Iban => iban(text),
            Self::Ssn => ssn(text),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok_and(|address| !address.is_unspecified()),
        }
    }
}

fn luhn(text: &str) -> bool {
    let digits = || text.chars().rev().filter_map(|c| c.to_digit(10));
    let sum: u32 = digits()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    // Zeros alone would pass.
    sum.is_multiple_of(10) && sum > 0 && (12..=19).contains(&digits().count())
}

fn iban(text: &str) -> bool {
    let letters = || text.chars().filter(|c| c.is_ascii_alphanumeric());
    if !(15..=34).contains(&letters().count()) {
        return false;
    }
    let rotated = letters().skip(4).chain(letters().take(4));
    let rest = rotated.filter_map(|c| c.to_digit(36)).fold(0, |rest, value| {
        let shifted = if value > 9 { rest * 100 } else { rest * 10 };
        (shifted + value) % 97
    });
    rest == 1
}

fn ssn(text: &str) -> bool {
    let digits: u32 = text.chars().filter_map(|c| c.to_digit(10)).fold(0, |all, d| all * 10 + d);
    let (area, group, serial) = (digits / 1_000_000, digits / 10_000 % 100, digits % 10_000);
    !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_hold_for_published_examples_and_for_no_neighbour_of_them() {
        for (check, text) in [
            (Check::Luhn, "4111 1111 1111 1111"),
            (Check::Luhn, "378282246310005"),
            (Check::Luhn, "30569309025904"),
            (Check::Iban, "GB82 WEST 1234 5698 7654 32"),
            (Check::Iban, "DE89370400440532013000"),
            (Check::Iban, "MT84MALT011000012345MTLCAST001S"),
            (Check::Ssn, "078-05-1120"),
            (Check::Ipv6, "2001:db8::1"),
        ] {
            assert!(check.holds(text), "{text}");
        }
        // Every change of one digit breaks both checksums.
        for (check, text) in
            [(Check::Luhn, "4111111111111111"), (Check::Iban, "DE89370400440532013000")]
        {
            for (at, old) in text.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
                for new in ('0'..='9').filter(|new| *new != old) {
                    let mut changed = text.to_owned();
                    changed.replace_range(at..=at, &new.to_string());
                    assert!(!check.holds(&changed), "{changed}");
                }
            }
        }
        for (check, text) in [
            (Check::Luhn, "0000000000000000"),
            (Check::Ssn, "000-12-3456"),
            (Check::Ssn, "666-12-3456"),
            (Check::Ssn, "900-12-3456"),
            (Check::Ssn, "123-00-3456"),
            (Check::Ssn, "123-45-0000"),
            (Check::Ipv6, "::"),
            (Check::Ipv6, "12:34:56"),
        ] {
            assert!(!check.holds(text), "{text}");
        }
    }
}
