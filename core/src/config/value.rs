//! The types of configuration values and their text forms.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::schema::is_http_url;
use crate::error::Error;
use crate::telemetry::LogFormat;

#[cfg(test)]
mod tests;

/// A type that a key can have.
pub(super) trait Value: Sized {
    /// What a value looks like, as the end of "expected …"; Markdown.
    const FORM: &'static str;
    /// Whether values are hidden in every output.
    const SECRET: bool = false;
    /// Whether values are paths.
    const PATH: bool = false;

    /// Reads the text form.
    fn parse(text: &str) -> Option<Self>;

    /// Writes the text form.
    fn render(&self) -> String;
}

/// A text that no output shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A number of bytes, written as `128MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The number of bytes, at most what this machine can address.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = SIZE_UNITS.iter().take(4);
        let unit = binary
            .into_iter()
            .find(|(_, size)| self.0 > 0 && self.0.is_multiple_of(*size));
        let (name, size) = unit.unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / size)
    }
}

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        with_unit(text, &SIZE_UNITS)
            .map(Self)
            .ok_or_else(|| not_a::<Self>(text))
    }
}

impl Value for ByteSize {
    const FORM: &'static str = "a size such as `64KiB`, `128MiB` or `2GiB`";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Value for Duration {
    const FORM: &'static str = "a duration such as `500ms`, `30s`, `5m`, `2h` or `1d`";

    fn parse(text: &str) -> Option<Self> {
        with_unit(text, &DURATION_UNITS).map(Self::from_millis)
    }

    fn render(&self) -> String {
        let millis = self.as_millis();
        if millis == 0 {
            return "0s".to_owned();
        }
        let unit = DURATION_UNITS
            .iter()
            .find(|(_, size)| millis.is_multiple_of(u128::from(*size)));
        let (name, size) = unit.unwrap_or(&("ms", 1));
        format!("{}{name}", millis / u128::from(*size))
    }
}

/// Reads a whole number directly followed by one of `units`; `None` also where it overflows.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, size) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

/// Which executor gets the next task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskDistribution {
    /// One executor is filled before the next gets a task.
    Bias,
    /// Tasks are spread over all executors.
    RoundRobin,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// It is done.
    On,
    /// It is not done.
    Off,
}

/// Implements the text form of an enum without fields.
macro_rules! choices {
    ($type:ty, $form:literal, { $($variant:ident => $text:literal),+ }) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),+ })
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(not_a::<Self>(text)),
                }
            }
        }

        impl Value for $type {
            const FORM: &'static str = $form;

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn render(&self) -> String {
                self.to_string()
            }
        }
    };
}

choices!(TaskDistribution, "`bias` or `round_robin`", {
    Bias => "bias",
    RoundRobin => "round_robin"
});
choices!(Switch, "`on` or `off`", { On => "on", Off => "off" });
choices!(LogFormat, "`text` or `json`", { Text => "text", Json => "json" });

/// Where the client runs its jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cluster {
    /// A scheduler and executors inside the client process.
    Local {
        /// Number of executors.
        executors: usize,
    },
    /// A running scheduler.
    Remote {
        /// Its URL, `http://host:port`.
        url: String,
    },
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { executors } => write!(f, "local[{executors}]"),
            Self::Remote { url } => f.write_str(url),
        }
    }
}

impl FromStr for Cluster {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "local" {
            return Ok(Self::Local { executors: 1 });
        }
        if is_http_url(text) {
            return Ok(Self::Remote {
                url: text.trim_end_matches('/').to_owned(),
            });
        }
        text.strip_prefix("local[")
            .and_then(|rest| rest.strip_suffix(']'))
            .and_then(|n| n.parse().ok())
            .filter(|executors| (1..=64).contains(executors))
            .map(|executors| Self::Local { executors })
            .ok_or_else(|| not_a::<Self>(text))
    }
}

impl Value for Cluster {
    const FORM: &'static str = "`local`, `local[N]` with N from 1 to 64, or `http://host:port`";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

fn not_a<T: Value>(text: &str) -> Error {
    Error::invalid(format!("`{text}` is not {}", T::FORM))
}

/// Implements a text form made of an expression each way.
macro_rules! plain {
    ($type:ty, $form:literal, |$text:ident| $parse:expr, |$value:ident| $render:expr) => {
        impl Value for $type {
            const FORM: &'static str = $form;

            fn parse($text: &str) -> Option<Self> {
                $parse
            }

            fn render(&self) -> String {
                let $value = self;
                $render
            }
        }
    };
}

plain!(
    u16,
    "a port from `0` (any free port) to `65535`",
    |text| text.parse().ok(),
    |port| port.to_string()
);
plain!(
    usize,
    "a whole number",
    |text| text.parse().ok(),
    |number| number.to_string()
);
plain!(
    bool,
    "`true` or `false`",
    |text| text.parse().ok(),
    |flag| flag.to_string()
);
plain!(
    String,
    "a text that is not empty",
    |text| Some(text.to_owned()).filter(|text| !text.trim().is_empty()),
    |text| text.clone()
);
plain!(
    f64,
    "a fraction such as `0.7` or `70%`",
    |text| {
        let (number, scale) = match text.strip_suffix('%') {
            Some(percent) => (percent, 100.0),
            None => (text, 1.0),
        };
        number
            .parse::<Self>()
            .ok()
            .filter(|n| n.is_finite())
            .map(|n| n / scale)
    },
    |fraction| fraction.to_string()
);

impl Value for PathBuf {
    const FORM: &'static str = "a path";
    const PATH: bool = true;

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::from(text))
    }

    fn render(&self) -> String {
        self.display().to_string()
    }
}

/// Folders of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders(pub Vec<PathBuf>);

impl Value for Folders {
    const FORM: &'static str = "absolute folders such as `/data` or `/data,/mnt/shop`";

    fn parse(text: &str) -> Option<Self> {
        let folders = text.split(',').map(|folder| PathBuf::from(folder.trim()));
        let is_absolute = |folder: PathBuf| folder.is_absolute().then_some(folder);
        folders.map(is_absolute).collect::<Option<_>>().map(Self)
    }

    fn render(&self) -> String {
        let folders: Vec<_> = self.0.iter().map(|f| f.display().to_string()).collect();
        folders.join(",")
    }
}

impl Value for Secret {
    const FORM: &'static str = "a text that is not empty";
    const SECRET: bool = true;

    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::new(text))
    }

    fn render(&self) -> String {
        self.to_string()
    }
}

/// The empty text stands for "not set".
impl<T: Value> Value for Option<T> {
    const FORM: &'static str = T::FORM;
    const SECRET: bool = T::SECRET;
    const PATH: bool = T::PATH;

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            Some(None)
        } else {
            T::parse(text).map(Some)
        }
    }

    fn render(&self) -> String {
        self.as_ref().map(T::render).unwrap_or_default()
    }
}
