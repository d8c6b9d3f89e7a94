//! The words of a target, in libFuzzer's form of a dictionary.

/// The words of a text that has one in double quotes on each line: `\\`, `\"` and `\xNN` stand for a
/// byte. Other lines are left out.
pub(crate) fn parse(text: &str) -> Vec<Vec<u8>> {
    let words = text.lines().filter_map(|line| {
        let word = line.trim().strip_prefix('"')?.strip_suffix('"')?;
        unescaped(word.as_bytes())
    });
    words.collect()
}

fn unescaped(mut word: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        word = match word {
            [] => return Some(bytes),
            [b'\\', b'x', high, low, rest @ ..] => {
                let hex = [*high, *low];
                let hex = std::str::from_utf8(&hex).ok()?;
                bytes.push(u8::from_str_radix(hex, 16).ok()?);
                rest
            }
            [b'\\', byte @ (b'\\' | b'"'), rest @ ..] => {
                bytes.push(*byte);
                rest
            }
            [b'\\', ..] => return None,
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_libfuzzer_reads_them() {
        let text = "# marks\n\"\\\"\"\n\"a b\"\n\n\"\\xff\\x00\\\\\"\n\"\\n\"\nword\n";
        let expected = [b"\"".to_vec(), b"a b".to_vec(), b"\xff\0\\".to_vec()];
        assert_eq!(parse(text), expected);
    }
}
