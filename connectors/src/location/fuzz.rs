//! Locations of any text: they are parsed or refused, and what is parsed is written so that it is parsed
//! as the same place.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path as LocalPath;

use emporia_core::error::ErrorKind;
use emporia_core::location as text;

use super::Location;

/// Longest text of an error.
const MAX_ERROR: usize = 2000;

/// Parses a location in a folder; whether it is one.
pub fn fuzz(data: &[u8]) -> bool {
    let path = LocalPath::new(OsStr::from_bytes(data));
    let by_path = text::Location::local(path);
    let Ok(text) = std::str::from_utf8(data) else {
        assert!(by_path.is_err(), "{by_path:?}");
        return false;
    };
    let folder = LocalPath::new("/srv/shop");
    let location = match text::Location::parse(text, Some(folder)) {
        Ok(location) => location,
        Err(error) => {
            let told = error.to_string();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{told}");
            assert!(told.len() < MAX_ERROR && !told.contains('\n'), "{told}");
            return false;
        }
    };
    for written in [location.to_string(), location.shown()] {
        let again = text::Location::parse(&written, None).map_err(|e| e.to_string());
        let place = |l: &text::Location| (l.root().to_owned(), l.path());
        assert_eq!(
            again.as_ref().map(place),
            Ok(place(&location)),
            "{text} is {written}"
        );
    }
    let uri = location.to_string();
    let again = text::Location::parse(&uri, None).map_err(|e| e.to_string());
    assert_eq!(again.as_ref(), Ok(&location), "{text} is {uri}");
    if let Some(path) = location.local_path() {
        let again = text::Location::local(&path).map(|l| l.path());
        assert_eq!(again.map_err(|e| e.to_string()), Ok(location.path()));
    }
    let Ok(in_store) = Location::of(&location) else {
        return false;
    };
    assert_eq!(in_store.path.as_ref(), location.path(), "{text}");
    let again = Location::parse(&in_store.to_string()).map_err(|e| e.to_string());
    assert_eq!(again, Ok(in_store), "{text}");
    true
}

#[cfg(test)]
mod tests {
    #[test]
    fn changed_locations_are_parsed_or_refused() {
        let outcome = emporia_fuzz::run("locations", 20_000, super::fuzz);
        assert!(
            outcome.n_read > 100 && outcome.n_refused > 100,
            "{outcome:?}"
        );
    }
}
