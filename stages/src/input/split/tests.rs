//! Pieces of small inputs.

use super::*;
use schemas::limits::MAX_LINE_BYTES;

fn pieces(split: &Split, chunks: &[&[u8]]) -> Vec<(String, u64, u64, u64)> {
    let mut out = Vec::new();
    let mut splitter = Splitter::new(split, 0);
    let mut add = |piece: Piece<'_>| {
        let text = String::from_utf8_lossy(piece.bytes).into_owned();
        out.push((text, piece.start, piece.end, piece.cut));
    };
    chunks.iter().for_each(|chunk| splitter.feed(chunk, &mut add));
    splitter.finish(&mut add);
    out
}

fn texts(split: &Split, bytes: &[u8]) -> Vec<String> {
    pieces(split, &[bytes]).into_iter().map(|(text, ..)| text).collect()
}

#[test]
fn lines_end_at_newlines_with_or_without_a_return() {
    let found = pieces(&Split::Lines, &[b"a\r\nb", b"c\n\nd"]);
    let wanted = [("a", 0, 3), ("bc", 3, 6), ("", 6, 7), ("d", 7, 8)];
    let wanted = wanted.map(|(text, start, end)| (text.to_owned(), start, end, 0));
    assert_eq!(found, wanted);
}

#[test]
fn what_is_beyond_the_longest_line_is_dropped_and_counted() {
    let long = vec![b'x'; MAX_LINE_BYTES + 10];
    for split in [Split::Lines, Split::Syslog] {
        for chunk in [long.len(), 65_536] {
            let mut chunks: Vec<&[u8]> = long.chunks(chunk).collect();
            chunks.push(b"\nnext\n");
            let found = pieces(&split, &chunks);
            let lengths: Vec<(usize, u64)> =
                found.iter().map(|(text, _, _, cut)| (text.len(), *cut)).collect();
            assert_eq!(lengths, [(MAX_LINE_BYTES, 10), (4, 0)], "{split:?}");
            assert_eq!(found[1].1, long.len() as u64 + 1);
        }
    }
    let csv = [b"message,b\n", &long[..], b",1\nnext,2\n"].concat();
    let found = pieces(&Split::Csv(CsvOptions::default()), &[&csv]);
    assert_eq!((found[0].3, found[1].0.as_str()), (11, r#"{"message":"next","b":"2"}"#));
    let value = [b"[\"", &long[..], b"\",1]"].concat();
    let found = pieces(&Split::Values, &[&value]);
    assert_eq!((found[0].3, found[1].0.as_str()), (12, "1"));
}

#[test]
fn counted_syslog_frames_and_lines_may_take_turns() {
    let bytes = b"9 <34>a\nb \n<34>line\n4 <1>x4 <1>y007 is a line\n12 <13>a";
    let found = texts(&Split::Syslog, bytes);
    assert_eq!(found, ["<34>a\nb ", "<34>line", "<1>x", "<1>y", "007 is a line", "<13>a"]);
    let mut splitter = Splitter::new(&Split::Syslog, 0);
    splitter.feed(b"12 <13>a", &mut |_| panic!("not whole"));
    assert!(splitter.is_inside());
}

#[test]
fn json_values_are_told_apart_by_their_brackets() {
    for (bytes, wanted) in [
        (
            &b"[{\"a\":[1,2]},\n {\"b\":\"}]\\\"\"}]"[..],
            &["{\"a\":[1,2]}", "{\"b\":\"}]\\\"\"}"][..],
        ),
        (b"{\n \"a\": 1\n}\n{\"b\":2}", &["{\n \"a\": 1\n}", "{\"b\":2}"]),
        (b" [1, true ,\"x\",null]", &["1", "true", "\"x\"", "null"]),
        (b"[[1],[2]]", &["[1]", "[2]"]),
        (b"[]", &[]),
    ] {
        assert_eq!(texts(&Split::Values, bytes), wanted, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn csv_rows_become_objects_of_their_columns() {
    let comma = Split::Csv(CsvOptions::default());
    let bytes = b"\xef\xbb\xbfTime,Log,,Time\r\n1,\"a \"\"b\"\",\nc\",,x\r\n\r\n2,,3\n3,d,e,f,g";
    assert_eq!(
        texts(&comma, bytes),
        [
            r#"{"Time":"1","message":"a \"b\",\nc","Time_4":"x"}"#,
            r#"{"Time":"2","column_3":"3"}"#,
            r#"{"Time":"3","message":"d","column_3":"e","Time_4":"f","column_5":"g"}"#,
        ]
    );
    let semicolons =
        CsvOptions { message: Some("what".into()), ..CsvOptions::detect(b"log;what\na;b") };
    let found = texts(&Split::Csv(semicolons), b"log;what\na;b\n");
    assert_eq!(found, [r#"{"log":"a","message":"b"}"#]);
    assert_eq!(CsvOptions::detect(b"alone\n").delimiter, b',');
}
