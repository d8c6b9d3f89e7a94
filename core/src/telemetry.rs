//! Logging of a process: text for people, JSON lines for machines, both to standard error, because
//! standard output belongs to results.
//!
//! Records of the `log` crate are captured too.

use std::io::{self, IsTerminal};

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::{Error, ErrorKind, Result};

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object per line.
    Json,
}

/// Libraries that say much and tell an operator little; they log warnings only, unless the level
/// names them.
const NOISY: [&str; 11] = [
    "ballista_executor::metrics",
    "datafusion_optimizer",
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "object_store",
    "reqwest",
    "sqlparser",
    "tonic",
    "tower",
];

/// Libraries whose warnings our own repeat in better words; they log errors only, unless the level
/// names them.
const REPEATED: [&str; 1] = ["hdfs_native"];

/// Starts logging to standard error, in colours where that is a terminal.
///
/// `level` is a level (`info`) or a list of directives as in `info,ballista_scheduler=debug`.
///
/// # Errors
/// `InvalidInput` for a bad `level`, `AlreadyExists` where the process logs already.
pub fn init(format: LogFormat, level: &str) -> Result<()> {
    init_to(format, level, io::stderr().is_terminal(), io::stderr)
}

/// Starts logging to `writer`; as [`init`].
///
/// # Errors
/// As [`init`].
pub fn init_to<W>(format: LogFormat, level: &str, colours: bool, writer: W) -> Result<()>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    dispatch(format, level, colours, writer)?
        .try_init()
        .map_err(|e| Error::new(ErrorKind::AlreadyExists, "cannot start logging").with_source(e))
}

/// Whether `level` is a level or a list of directives.
///
/// # Errors
/// `InvalidInput` that names the part that is wrong.
pub fn check_level(level: &str) -> Result<()> {
    filter(level).map(drop)
}

fn dispatch<W>(format: LogFormat, level: &str, colours: bool, writer: W) -> Result<Dispatch>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(level)?)
        .with_writer(writer);
    Ok(match format {
        // With colours the library's own default holds, which follows NO_COLOR.
        LogFormat::Text if colours => builder.into(),
        LogFormat::Text => builder.with_ansi(false).into(),
        LogFormat::Json => builder.json().flatten_event(true).with_ansi(false).into(),
    })
}

fn filter(level: &str) -> Result<EnvFilter> {
    let bad = || Error::invalid(format!("`{level}` is not a log level"));
    let hint = "write `info`, or directives such as `info,ballista_scheduler=debug`";
    if level.trim().is_empty() {
        return Err(bad().with_hint(hint));
    }
    // Directives on spans, in brackets, may contain commas; only the library reads those.
    let parts: Vec<_> = if level.contains('[') {
        vec![level]
    } else {
        level.split(',').map(str::trim).collect()
    };
    let mut base = LevelFilter::ERROR;
    for part in parts
        .iter()
        .filter(|part| !part.is_empty() && !part.contains('='))
    {
        // A lone word that is no level would be read as a target to log at `trace`; far more often
        // it is a level with a typing error.
        base = part.parse().map_err(|_| bad().with_hint(hint))?;
    }
    let quiet = NOISY
        .iter()
        .filter(|_| base > LevelFilter::WARN)
        .map(|t| format!("{t}=warn"));
    let repeated = REPEATED
        .iter()
        .filter(|_| base >= LevelFilter::WARN)
        .map(|t| format!("{t}=error"));
    let directives: Vec<_> = quiet
        .chain(repeated)
        .chain(parts.iter().map(|part| (*part).to_owned()))
        .collect();
    EnvFilter::try_new(directives.join(",")).map_err(|e| bad().with_hint(hint).with_source(e))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        fn text(&self) -> String {
            let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn captured(format: LogFormat, level: &str, body: impl FnOnce()) -> Result<String> {
        let output = Captured::default();
        let writer = output.clone();
        let guard = dispatch(format, level, false, move || writer.clone())?.set_default();
        body();
        drop(guard);
        Ok(output.text())
    }

    #[test]
    fn text_is_a_line_with_level_target_and_fields() -> Result<()> {
        let text = captured(LogFormat::Text, "info", || {
            tracing::info!(job_id = "j1", n_stages = 3, "job submitted");
            tracing::debug!("hidden");
        })?;
        assert!(text.contains(" INFO "), "{text}");
        assert!(
            text.contains("job submitted job_id=\"j1\" n_stages=3"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        Ok(())
    }

    #[test]
    fn json_is_an_object_per_line_with_the_fields_at_the_top() -> Result<()> {
        let text = captured(LogFormat::Json, "info", || {
            tracing::warn!(job_id = "j1", "task repeated");
        })?;
        let line: serde_json::Value = serde_json::from_str(&text)
            .map_err(|e| Error::internal(text.clone()).with_source(e))?;
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "task repeated");
        assert_eq!(line["job_id"], "j1");
        Ok(())
    }

    #[test]
    fn records_of_the_log_crate_are_captured() -> Result<()> {
        let text = captured(LogFormat::Text, "info", || {
            log::warn!(target: "some_library", "from log");
            log::debug!(target: "some_library", "hidden");
        })?;
        assert!(text.contains("WARN some_library: from log"), "{text}");
        assert!(!text.contains("hidden"), "{text}");
        Ok(())
    }

    #[test]
    fn noisy_targets_are_quiet_unless_named() -> Result<()> {
        let body = || {
            tracing::info!(target: "h2", "frame");
            tracing::warn!(target: "h2", "reset");
        };
        let check = |level: &str, frame: bool, reset: bool| -> Result<()> {
            let text = captured(LogFormat::Text, level, body)?;
            assert_eq!(text.contains("frame"), frame, "{level}: {text}");
            assert_eq!(text.contains("reset"), reset, "{level}: {text}");
            Ok(())
        };
        check("info", false, true)?;
        check("trace", false, true)?;
        check("info,h2=debug", true, true)?;
        check("error", false, false)?;
        check("off", false, false)?;
        check("error,h2=info", true, true)
    }

    #[test]
    fn warnings_that_are_repeated_are_left_out_unless_named() -> Result<()> {
        let body = || {
            tracing::warn!(target: "hdfs_native::hdfs::proxy", "refused");
            tracing::error!(target: "hdfs_native::hdfs::proxy", "broken");
        };
        let check = |level: &str, refused: bool, broken: bool| -> Result<()> {
            let text = captured(LogFormat::Text, level, body)?;
            assert_eq!(text.contains("refused"), refused, "{level}: {text}");
            assert_eq!(text.contains("broken"), broken, "{level}: {text}");
            Ok(())
        };
        check("warn", false, true)?;
        check("debug", false, true)?;
        check("warn,hdfs_native=warn", true, true)?;
        check("off", false, false)
    }

    #[test]
    fn levels_and_directives_are_checked() {
        for good in [
            "info",
            "WARN",
            "off",
            "debug,h2=info",
            "warn, a::b=trace,",
            "[job{id=1}]=info",
        ] {
            assert!(check_level(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "inf", "info,debgu", "h2=loud"] {
            let kind = check_level(bad).map_err(|e| (e.kind(), e.hint().is_some()));
            assert_eq!(kind, Err((ErrorKind::InvalidInput, true)), "{bad}");
        }
    }
}
