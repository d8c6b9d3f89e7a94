//! Standard error: remarks for a person, and whether anybody looks at them.

use std::io::{self, IsTerminal, Write};

/// Where remarks and progress go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Console {
    is_quiet: bool,
    progress: ProgressMode,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProgressMode {
    /// Not at all.
    Off,
    /// A line for each change, for logs.
    Lines,
    /// A bar that redraws itself.
    Bar,
}

impl Console {
    pub(crate) fn new(is_quiet: bool, no_progress: bool) -> Self {
        let progress = if is_quiet || no_progress {
            ProgressMode::Off
        } else if io::stderr().is_terminal() {
            ProgressMode::Bar
        } else {
            ProgressMode::Lines
        };
        Self { is_quiet, progress }
    }

    pub(crate) fn progress(&self) -> ProgressMode {
        self.progress
    }

    /// A console without lines of progress, for parts whose end is reported anyway.
    pub(crate) fn without_lines(self) -> Self {
        match self.progress {
            ProgressMode::Lines => Self {
                progress: ProgressMode::Off,
                ..self
            },
            _ => self,
        }
    }

    /// A console that says nothing, for results that need no remark.
    pub(crate) fn silent(self) -> Self {
        Self {
            is_quiet: true,
            progress: ProgressMode::Off,
        }
    }

    /// Writes a line to standard error, unless the user wants quiet.
    pub(crate) fn say(&self, line: impl AsRef<str>) {
        if !self.is_quiet {
            write_line(line.as_ref());
        }
    }
}

/// Writes a line to standard error whatever the user wants.
pub(crate) fn write_line(line: &str) {
    // A closed standard error is no reason to stop the work.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A number with commas between the thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes for reading.
pub(crate) fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    for (unit, factor) in [
        ("GiB", 1_073_741_824.0),
        ("MiB", 1_048_576.0),
        ("KiB", 1_024.0),
    ] {
        if bytes >= factor {
            return format!("{:.1} {unit}", bytes / factor);
        }
    }
    format!("{bytes} B")
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = match number {
        1 => "",
        _ if noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{} {noun}{plural}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(size(512), "512 B");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(88 << 20), "88.0 MiB");
        assert_eq!(count(1, "row"), "1 row");
        assert_eq!(count(2_000, "row"), "2,000 rows");
        assert_eq!(count(3, "process"), "3 processes");
    }
}
