//! Locations of files: from a text to a store and a path in it, and back.
//!
//! A text that begins with a scheme and `://` is a URI; any other is a path of this machine. In a path
//! every character stands for itself. In a URI `%` and two hexadecimal digits stand for a byte, and
//! every other character for itself, also `#` and `?`: a location has neither fragment nor query. So
//! the URI of a location differs from its path in nothing but `%`, which is written `%25`.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// Bytes of the longest name that file systems and HDFS take.
const MAX_NAME: usize = 255;
/// Bytes of the longest path that the kernel takes.
pub const MAX_LOCAL_PATH: usize = 4095;

/// Where a file or folder is. Two locations of one place are equal, except where links or other names
/// of a server lead to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// Scheme and authority, e.g. `file://` or `hdfs://namenode:8020`.
    root: String,
    /// Names from the root on; none is empty, `.` or `..`, or holds a slash or control character.
    names: Vec<String>,
    is_folder: bool,
}

/// Whether it has the form `user:word@host:port`, of which all but the host may be left out, and nothing in it would
/// be written in another way.
fn is_server(authority: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let is_user = user.chars().all(|c| is_plain(c) || c == ':') && user.matches(':').count() < 2;
    let port = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, port)) => {
            let is_address = address.chars().all(|c| is_plain(c) || c == ':');
            is_address.then_some(port)
        }
        None => Some(host),
    };
    is_user && port.is_some_and(|port| port.chars().all(|c| is_plain(c) || c == ':'))
}

impl Location {
    /// Reads a path or a URI. A relative path is one in `folder`, or in the working directory.
    ///
    /// # Errors
    /// `InvalidInput` for what no store can have: it is empty, it is not UTF-8, a name in it is longer
    /// than 255 bytes or holds a control character, or one on HDFS a colon.
    pub fn parse(text: &str, folder: Option<&Path>) -> Result<Self> {
        let Some((scheme, rest)) = uri(text) else {
            let path = folder.map_or_else(|| PathBuf::from(text), |folder| folder.join(text));
            if text.is_empty() {
                return Err(wrong(text, "it is empty"));
            }
            return Self::of_path(&path, text);
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if path.to_ascii_lowercase().contains("%2f") {
            return Err(wrong(text, "no name can hold a slash, which `%2F` is"));
        }
        let path = percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| wrong(text, "what `%` stands for in it is not UTF-8"))?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "file" {
            if !["", "localhost"].contains(&authority.to_ascii_lowercase().as_str()) {
                return Err(wrong(text, "a file URI begins with three slashes")
                    .with_hint("write file:///folder/name, or a path without scheme"));
            }
            return Self::of_path(Path::new(&format!("/{path}")), text);
        }
        if !is_server(authority) {
            return Err(wrong(
                text,
                &format!("`{}` is not a server", brief(authority)),
            ));
        }
        let mut names = Vec::new();
        for name in path.split('/') {
            match name {
                "" | "." => {}
                ".." => drop(names.pop()),
                name if scheme == "hdfs" && name.contains(':') => {
                    let reason =
                        format!("HDFS has no names with a colon, such as `{}`", brief(name));
                    return Err(wrong(text, &reason));
                }
                name => names.push(checked(name, text)?),
            }
        }
        Ok(Self {
            root: format!("{scheme}://{authority}"),
            is_folder: names.is_empty() || ends_as_folder(&path),
            names,
        })
    }

    /// The location of a path of this machine.
    ///
    /// # Errors
    /// As of [`Location::parse`].
    pub fn local(path: &Path) -> Result<Self> {
        Self::of_path(path, &path.to_string_lossy())
    }

    fn of_path(path: &Path, text: &str) -> Result<Self> {
        let path = std::path::absolute(path).map_err(|e| {
            wrong(text, "there is no working directory to find it from").with_source(e)
        })?;
        let mut found = PathBuf::from("/");
        for component in path.components() {
            match component {
                Component::Normal(name) => {
                    let name = name
                        .to_str()
                        .ok_or_else(|| wrong(text, "it is not UTF-8"))?;
                    found.push(checked(name, text)?);
                }
                // The folder above is that of the place to which a link leads.
                Component::ParentDir => {
                    found = std::fs::canonicalize(&found).unwrap_or(found);
                    found.pop();
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        if found.as_os_str().len() > MAX_LOCAL_PATH {
            return Err(wrong(text, "it is longer than 4,095 bytes"));
        }
        let names = found.components().filter_map(|component| match component {
            Component::Normal(name) => Some(
                name.to_str()
                    .map(str::to_owned)
                    .ok_or_else(|| wrong(text, "it is not UTF-8")),
            ),
            _ => None,
        });
        let names = names.collect::<Result<Vec<_>>>()?;
        Ok(Self {
            root: "file://".to_owned(),
            is_folder: names.is_empty() || ends_as_folder(text),
            names,
        })
    }

    /// The scheme, e.g. `file` or `hdfs`.
    pub fn scheme(&self) -> &str {
        self.root.split(':').next().unwrap_or_default()
    }

    /// Scheme and authority, e.g. `file://` or `hdfs://namenode:8020`.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The names from the root on, with `/` between them and as they are in the store.
    pub fn path(&self) -> String {
        self.names.join("/")
    }

    /// The path on this machine; `None` for another store.
    pub fn local_path(&self) -> Option<PathBuf> {
        (self.scheme() == "file").then(|| PathBuf::from(format!("/{}", self.path())))
    }

    /// The form for messages, which [`Location::parse`] reads too: the path of a place on this machine,
    /// the URI of any other.
    pub fn shown(&self) -> String {
        match self.local_path() {
            Some(path) => path.display().to_string(),
            None => self.to_string(),
        }
    }

    /// Whether the text ends like that of a folder, in a slash.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// What follows the last dot of the name of a file: `csv` for `out/a.csv`. A folder and a name
    /// with no dot but its first character have none.
    pub fn ending(&self) -> Option<&str> {
        let name = self.names.last().filter(|_| !self.is_folder)?;
        let (stem, ending) = name.rsplit_once('.')?;
        let is_name = |part: &str| !part.trim_matches('.').is_empty();
        (is_name(stem) && is_name(ending)).then_some(ending)
    }
}

impl fmt::Display for Location {
    /// The URI, which [`Location::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.root, escaped(&self.path()))?;
        match self.is_folder && !self.names.is_empty() {
            true => f.write_str("/"),
            false => Ok(()),
        }
    }
}

/// A path in the form that it has in a URI.
pub fn escaped(path: &str) -> String {
    path.replace('%', "%25")
}

/// Scheme and rest of a URI.
fn uri(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then_some((scheme, rest))
}

fn ends_as_folder(path: &str) -> bool {
    ["/", "/.", "/.."].iter().any(|end| path.ends_with(end)) || [".", ".."].contains(&path)
}

fn checked(name: &str, text: &str) -> Result<String> {
    if let Some(control) = name.chars().find(char::is_ascii_control) {
        let reason = format!("its name `{}` holds a control character", brief(name));
        return Err(wrong(text, &reason)
            .with_hint(format!("rename it without {}", control.escape_default())));
    }
    if name.len() > MAX_NAME {
        let reason = format!("its name `{}` is longer than {MAX_NAME} bytes", brief(name));
        return Err(wrong(text, &reason).with_hint("choose a shorter name"));
    }
    Ok(name.to_owned())
}

/// The text with its control characters escaped, so that it fits a line.
fn readable(text: &str) -> String {
    text.chars()
        .map(|c| match c.is_ascii_control() {
            true => c.escape_default().to_string(),
            false => c.to_string(),
        })
        .collect()
}

/// The beginning of a part of a location, for messages.
fn brief(part: &str) -> String {
    shortened(part, 40)
}

/// The first `n` characters, readable.
fn shortened(text: &str, n: usize) -> String {
    match text.char_indices().nth(n) {
        Some((end, _)) => format!("{}…", readable(&text[..end])),
        None => readable(text),
    }
}

fn wrong(text: &str, reason: &str) -> Error {
    let text = shortened(text, 200);
    Error::invalid(format!("`{text}` cannot be a location: {reason}"))
        .with_hint("a location is a path or a URI such as file:///data/orders")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Location {
        Location::parse(text, Some(Path::new("/srv"))).unwrap()
    }

    #[test]
    fn every_character_of_a_path_stands_for_itself() {
        for name in [
            "a b",
            "shop #1",
            "is it?",
            "50%20off",
            "10% off",
            "100%",
            "a&b=c;d,e",
            "{x}[y]*",
            "'q' \"d\" `t`",
            "back\\slash",
            "http:",
            "Größe",
            "Gro\u{308}\u{df}e",
            "日本語",
            ".hidden",
            "..two",
            "~",
            "+",
            "a:b",
            " ",
            "C|",
        ] {
            let location = parsed(name);
            assert_eq!(location.path(), format!("srv/{name}"));
            let path = location.local_path().unwrap();
            assert_eq!(path, Path::new("/srv").join(name));
            assert_eq!(parsed(&location.to_string()), location, "{name}");
            assert_eq!(Location::local(&path).unwrap(), location);
            assert_eq!(parsed(&location.shown()), location);
        }
    }

    #[test]
    fn only_percent_is_special_in_a_uri() {
        let check = |text: &str, root: &str, path: &str, written: &str| {
            let location = parsed(text);
            assert_eq!((location.root(), location.path().as_str()), (root, path));
            assert_eq!(location.to_string(), written);
            assert_eq!(parsed(written), location);
        };
        check("file:///a%20b/#1?", "file://", "a b/#1?", "file:///a b/#1?");
        check("file:///a%2520b", "file://", "a%20b", "file:///a%2520b");
        // Two digits are missing, so nothing is escaped.
        check("file:///10% off", "file://", "10% off", "file:///10%25 off");
        check("FILE://localhost/a/", "file://", "a", "file:///a/");
        check("file:////a//b/./c/..", "file://", "a/b", "file:///a/b/");
        check(
            "hdfs://nn:8020/Gr%C3%B6%C3%9Fe/x/../[1]",
            "hdfs://nn:8020",
            "Größe/[1]",
            "hdfs://nn:8020/Größe/[1]",
        );
        check("hdfs:///a", "hdfs://", "a", "hdfs:///a");
        check("hdfs://nn", "hdfs://nn", "", "hdfs://nn/");
        check(
            "memory://x/p.csv",
            "memory://x",
            "p.csv",
            "memory://x/p.csv",
        );
        // Neither is a URI.
        check("./s3://b", "file://", "srv/s3:/b", "file:///srv/s3:/b");
        check("a b://c", "file://", "srv/a b:/c", "file:///srv/a b:/c");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let check = |text: &str, reason: &str| {
            let error = Location::parse(text, Some(Path::new("/srv"))).unwrap_err();
            let told = error.to_string();
            assert!(told.contains(reason), "{told}");
            assert!(told.len() < 500 && !told.contains('\n'), "{told}");
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
            assert!(error.hint().is_some());
        };
        check("", "empty");
        check("a\nb", "control character");
        check("file:///a%00b", "control character");
        check("file:///a%2Fb", "slash");
        check("file:///a%FFb", "not UTF-8");
        check("file://data/orders", "three slashes");
        check("hdfs://nn?x/a", "not a server");
        check("hdfs://nn:8020/12:30", "colon");
        check(&format!("hdfs://{}?/a", "n".repeat(1000)), "not a server");
        check(&format!("hdfs://n/{}:", "a".repeat(1000)), "colon");
        check(&format!("{}\n", "a".repeat(1000)), "control character");
        check(&"ö".repeat(128), "longer than 255 bytes");
        check(&"a/".repeat(2048), "longer than 4,095 bytes");
        assert!(Location::parse(&"a".repeat(255), None).is_ok());
    }

    #[test]
    fn the_folder_above_a_link_is_that_of_its_target() -> std::io::Result<()> {
        let top = tempfile::tempdir()?;
        let top = top.path().canonicalize()?;
        std::fs::create_dir_all(top.join("deep/inside"))?;
        std::os::unix::fs::symlink(top.join("deep/inside"), top.join("link"))?;
        let check = |text: &str, expected: &str| {
            let found = Location::parse(text, Some(&top)).unwrap();
            assert_eq!(found.local_path().unwrap(), top.join(expected), "{text}");
        };
        check("link/../x", "deep/x");
        check("deep/../x", "x");
        check("new/../x", "x");
        check("link", "link");
        Ok(())
    }

    #[test]
    fn a_file_has_an_ending_and_a_folder_none() {
        let check = |text: &str, ending: Option<&str>| {
            assert_eq!(parsed(text).ending(), ending, "{text}");
        };
        check("a/b.csv", Some("csv"));
        check("10%.csv", Some("csv"));
        check("b.csv/", None);
        check(".hidden", None);
        check("ends.", None);
        check("v1.0 #2", Some("0 #2"));
        assert!(parsed("a/").is_folder() && parsed("..").is_folder());
        assert!(!parsed("a").is_folder());
    }
}
