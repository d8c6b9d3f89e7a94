//! A file that is one array of objects, as lines: in place, so that every byte keeps its position.
//!
//! The commas between the elements become line breaks, the brackets around them and line breaks
//! inside them become blanks. What is not an array shows as a fault of the array, of the elements
//! around it, or both; none is passed over.

/// Where in the array the last byte was.
#[derive(Debug, Default)]
pub(super) struct Elements {
    depth: usize,
    in_text: bool,
    is_escaped: bool,
    is_closed: bool,
    /// Whether the element that is being read has begun, and whether there was one before it.
    has_content: bool,
    has_comma: bool,
    at: u64,
}

impl Elements {
    /// Makes lines of the next bytes of the file.
    ///
    /// # Errors
    /// Where an array has a comma too much, or something follows it.
    pub(super) fn rewrite(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        for byte in bytes {
            self.step(byte)
                .map_err(|what| format!("{what} at byte {}", self.at))?;
            self.at += 1;
        }
        Ok(())
    }

    fn step(&mut self, byte: &mut u8) -> Result<(), &'static str> {
        if self.in_text {
            match *byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return Ok(());
        }
        match *byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                *byte = b' ';
                return Ok(());
            }
            _ if self.is_closed => return Err("more text follows the array"),
            b'[' if self.depth == 0 => {
                self.depth = 1;
                *byte = b' ';
                return Ok(());
            }
            b',' if self.depth == 1 => {
                if !self.has_content {
                    return Err("an element is missing");
                }
                (self.has_content, self.has_comma) = (false, true);
                *byte = b'\n';
                return Ok(());
            }
            b']' if self.depth == 1 => {
                if self.has_comma && !self.has_content {
                    return Err("an element is missing");
                }
                (self.depth, self.is_closed) = (0, true);
                *byte = b' ';
                return Ok(());
            }
            b'}' if self.depth == 1 => return Err("a `}` closes nothing"),
            b'"' => self.in_text = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth -= 1,
            _ => {}
        }
        self.has_content = true;
        Ok(())
    }

    /// Checks that the array is closed, at the end of the file.
    ///
    /// # Errors
    /// Where it is not.
    pub(super) fn finish(&self) -> Result<(), String> {
        match self.is_closed {
            true => Ok(()),
            false => Err("the file ends inside of the array".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str, size: usize) -> Result<String, String> {
        let mut bytes = text.as_bytes().to_vec();
        let mut elements = Elements::default();
        for chunk in bytes.chunks_mut(size) {
            elements.rewrite(chunk)?;
        }
        elements.finish()?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn elements_become_lines_where_they_stand() {
        let text = "[{\"a\": [1,\n2]},\r\n {\"b\": \"],\\\"\\\\\"}]\n";
        let expected = " {\"a\": [1, 2]}\n   {\"b\": \"],\\\"\\\\\"}  ";
        for size in 1..text.len() {
            assert_eq!(lines(text, size).as_deref(), Ok(expected));
        }
        assert_eq!(lines("[]", 1).as_deref(), Ok("  "));
    }

    #[test]
    fn what_is_no_array_is_named() {
        for (text, expected) in [
            ("[1", "the file ends inside of the array"),
            ("[\"a]", "the file ends inside of the array"),
            ("[1,]", "an element is missing at byte 3"),
            ("[,1]", "an element is missing at byte 1"),
            ("[1,,2]", "an element is missing at byte 3"),
            ("[1] 2", "more text follows the array at byte 4"),
            ("[1}]", "a `}` closes nothing at byte 2"),
        ] {
            assert_eq!(lines(text, 2).err().as_deref(), Some(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_array_is_taken_that_is_none(text in "\\[([{}\\[\\],\"\\\\1 \n]){0,12}") {
            let is_array = serde_json::from_str::<Vec<serde_json::Value>>(&text);
            let rewritten = lines(&text, 3);
            let elements = rewritten.as_ref().map_err(Clone::clone).and_then(|lines| {
                let lines = lines.split('\n').filter(|line| !line.trim().is_empty());
                let parsed = lines.map(serde_json::from_str::<serde_json::Value>);
                parsed.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())
            });
            prop_assert_eq!(elements.ok(), is_array.ok());
        }
    }
}
