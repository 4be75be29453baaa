//! Round trips, truncation at every byte, and bombs.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::admission::Admission;
use crate::refusal::Kind;

fn pack(coding: &str, input: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    match coding {
        "gzip" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
            writer.write_all(input).expect("memory");
            writer.finish().expect("memory")
        }
        "zlib" => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
            writer.write_all(input).expect("memory");
            writer.finish().expect("memory")
        }
        "deflate" => {
            let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), level);
            writer.write_all(input).expect("memory");
            writer.finish().expect("memory")
        }
        _ => zstd::encode_all(input, 3).expect("memory"),
    }
}

fn unpack(coding: &str, bytes: Vec<u8>) -> Result<Bytes, Refusal> {
    let admission = Admission::new(256 << 20);
    decompress(&parse(coding)?, Bytes::from(bytes), &mut admission.lease())
}

const ALL: [&str; 4] = ["gzip", "zlib", "deflate", "zstd"];

#[test]
fn a_bomb_of_every_coding_is_refused_as_too_large() {
    let zeros = vec![0u8; 80 << 20];
    for coding in ALL {
        let refusal = unpack(coding, pack(coding, &zeros)).expect_err(coding);
        assert_eq!(refusal.kind, Kind::TooLarge, "{coding}");
    }
}

#[test]
fn a_bomb_within_the_ratio_is_stopped_at_the_cap() {
    // Half noise, half zeros: the ratio is fine, the size is not.
    let mut state = 1u64;
    let mut bytes: Vec<u8> = Vec::with_capacity(70 << 20);
    while bytes.len() < 70 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.extend_from_slice(&state.to_be_bytes());
        bytes.extend_from_slice(&[0; 56]);
    }
    let refusal = unpack("zstd", pack("zstd", &bytes)).expect_err("above the cap");
    assert!(refusal.text.contains("after decompression"), "{}", refusal.text);
}

#[test]
fn output_is_charged_to_the_lease() {
    let admission = Admission::new(1 << 20);
    let packed = Bytes::from(pack("gzip", &vec![7u8; 2 << 20]));
    let refusal =
        decompress(&[Coding::Gzip], packed, &mut admission.lease()).expect_err("no budget");
    assert_eq!(refusal.kind, Kind::Busy);
    assert_eq!(admission.free(), 1 << 20);
}

#[test]
fn stacked_codings_are_undone_from_the_last() {
    let twice = pack("zstd", &pack("gzip", b"hello"));
    assert_eq!(unpack("gzip, zstd", twice).expect("valid"), "hello");
    assert_eq!(unpack("identity", b"hello".to_vec()).expect("valid"), "hello");
    assert_eq!(unpack("br", vec![]).expect_err("unknown").kind, Kind::Unsupported);
    assert_eq!(unpack("gzip,gzip,gzip,gzip", vec![]).expect_err("four").kind, Kind::Unsupported);
}

#[test]
fn a_window_above_8_mib_is_refused_before_it_is_allocated() {
    // Magic, then a frame header with a window descriptor of 2^41 bytes.
    let bytes = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01, 0x00, 0x00];
    assert_eq!(unpack("zstd", bytes.to_vec()).expect_err("window").kind, Kind::Malformed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_was_packed_comes_back(input: Vec<u8>, which in 0usize..4) {
        let coding = ALL[which];
        let name = if coding == "zlib" { "deflate" } else { coding };
        // Bare deflate may begin with bytes that look like a zlib header; that is why RFC 9110 forbids it.
        let packed = pack(coding, &input);
        prop_assume!(coding != "deflate" || !looks_like_zlib(&packed));
        prop_assert_eq!(unpack(name, packed), Ok(Bytes::from(input)));
    }

    #[test]
    fn a_truncated_body_is_malformed(input in proptest::collection::vec(any::<u8>(), 1..200), cut: u16) {
        for coding in ["gzip", "zlib", "zstd"] {
            let mut packed = pack(coding, &input);
            let at = 1 + usize::from(cut) % (packed.len() - 1);
            packed.truncate(at);
            prop_assert!(unpack(coding, packed).is_err(), "{} cut at {}", coding, at);
        }
    }

    #[test]
    fn random_bytes_never_panic(input: Vec<u8>) {
        for coding in ALL {
            let _ = unpack(coding, input.clone());
        }
    }
}
