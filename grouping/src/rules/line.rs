//! The words of a rule's line: separated by space, quoted where they hold some.

/// Splits a line at white space outside of quotes; the quotes go. An error says which is open.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => (quoted, any) = (!quoted, true),
            '\\' if quoted => word.push(characters.next().unwrap_or('\\')),
            space if space.is_whitespace() && !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            other => {
                word.push(other);
                any = true;
            }
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    if any {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        let found = words(r#"message:"a \"b\" *"  !type:X  -app "#).unwrap();
        assert_eq!(found, [r#"message:a "b" *"#, "!type:X", "-app"]);
        assert!(words("a \"b").is_err());
        assert!(words("  ").unwrap().is_empty());
    }
}
