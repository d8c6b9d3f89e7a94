//! How a section of the schema table becomes a typed struct, its defaults and its [`Key`]s.

use super::value::Value;

/// The typed settings of one process.
pub trait Settings: Default {
    /// Name of the section in the file and of the prefix of its keys.
    const SECTION: &'static str;

    /// The keys of the section in the order in which they are documented.
    fn keys() -> Vec<Key>;

    /// Sets the key `name` (without section) from text; `false` where the key does not exist or
    /// does not accept the text.
    fn set(&mut self, name: &str, text: &str) -> bool;

    /// The value of the key `name` in text form, a secret as `***`; `None` where it does not exist.
    fn get(&self, name: &str) -> Option<String>;
}

/// One key of the schema.
#[derive(Debug, Clone)]
pub struct Key {
    /// The process that the key belongs to: `scheduler`, `executor` or `client`.
    pub section: &'static str,
    /// Name within the section, e.g. `bind_port`.
    pub name: &'static str,
    /// What the key is for; Markdown.
    pub doc: &'static str,
    /// What a value looks like; Markdown.
    pub form: &'static str,
    /// The default in text form; empty where there is none.
    pub default: String,
    /// Whether values are hidden in every output.
    pub secret: bool,
    /// Whether a relative value in a file is relative to the folder of that file.
    pub path: bool,
    pub(super) accepts: fn(&str) -> bool,
}

impl Key {
    /// The name with its section, e.g. `scheduler.bind_port`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The name of the environment variable, e.g. `EMPORIA_SCHEDULER__BIND_PORT`.
    pub fn env_name(&self) -> String {
        format!("EMPORIA_{}__{}", self.section, self.name).to_uppercase()
    }

    /// Whether `text` is a legal value.
    pub fn accepts(&self, text: &str) -> bool {
        (self.accepts)(text)
    }
}

/// A condition on a value beyond its type.
pub(super) struct Check<T> {
    /// What a value looks like, in place of the form of the type.
    pub(super) form: &'static str,
    /// Whether the value is legal.
    pub(super) test: fn(&T) -> bool,
}

/// The form of a type under its checks.
pub(super) fn form<T: Value>(checks: &[Check<T>]) -> &'static str {
    checks.first().map_or(T::FORM, |check| check.form)
}

/// Parses `text` as a value that passes `checks`.
pub(super) fn parse<T: Value>(text: &str, checks: &[Check<T>]) -> Option<T> {
    T::parse(text).filter(|value| checks.iter().all(|check| (check.test)(value)))
}

/// Declares the settings struct of a section.
///
/// A row is `name: Type = default;` or `name: Type = default, CHECK;` below its documentation.
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        $vis:vis $struct:ident in $section:literal;
        $( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr $(, $check:expr)?; )+
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $struct {
            $( $(#[doc = $doc])+ $vis $name: $type, )+
        }

        impl Default for $struct {
            fn default() -> Self {
                Self { $( $name: $default, )+ }
            }
        }

        impl Settings for $struct {
            const SECTION: &'static str = $section;

            fn keys() -> Vec<Key> {
                let default = Self::default();
                vec![$( {
                    const CHECKS: &[Check<$type>] = &[$($check)?];
                    Key {
                        section: $section,
                        name: stringify!($name),
                        doc: concat!($($doc),+).trim_ascii(),
                        form: settings::form(CHECKS),
                        default: default.$name.render(),
                        secret: <$type as Value>::SECRET,
                        path: <$type as Value>::PATH,
                        accepts: |text| settings::parse(text, CHECKS).is_some(),
                    }
                }, )+]
            }

            fn set(&mut self, name: &str, text: &str) -> bool {
                $( if name == stringify!($name) {
                    const CHECKS: &[Check<$type>] = &[$($check)?];
                    return match settings::parse(text, CHECKS) {
                        Some(value) => { self.$name = value; true }
                        None => false,
                    };
                } )+
                false
            }

            fn get(&self, name: &str) -> Option<String> {
                $( if name == stringify!($name) {
                    return Some(self.$name.render());
                } )+
                None
            }
        }
    };
}

pub(super) use settings;
