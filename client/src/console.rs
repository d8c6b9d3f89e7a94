//! Standard error: remarks for a person, and whether anybody looks at them.

use std::io::{self, IsTerminal, Write};

pub(crate) use emporia_core::text::{count, grouped};

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

/// A text as one word of a command line that can be copied.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%=,".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(size(512), "512 B");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(88 << 20), "88.0 MiB");
    }
}
