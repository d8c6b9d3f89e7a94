//! Dates as spreadsheets write them: `12/1/2010 8:26` is the first of December in the United
//! States and the twelfth of January nearly everywhere else.
//!
//! Only a day above 12 tells the two apart, so the order is decided once for all files of an import.

use chrono::{NaiveDate, NaiveTime};

/// What stands first in `12/1/2010`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DayOrder {
    /// Whatever the dates themselves say; the month if they say nothing.
    #[default]
    Auto,
    /// The month, as in the United States.
    MonthFirst,
    /// The day.
    DayFirst,
}

/// What the dates of an import say about their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// A date whose first number is above 12.
    day_first: Option<String>,
    /// A date whose second number is above 12.
    month_first: Option<String>,
    /// A date that has an order at all.
    any: Option<String>,
}

impl Evidence {
    /// Takes in a date.
    pub(super) fn add(&mut self, text: &str) {
        let Some(Written::Either { first, second, .. }) = Written::parse(text) else {
            return;
        };
        let keep = |example: &mut Option<String>| {
            example.get_or_insert_with(|| text.to_owned());
        };
        keep(&mut self.any);
        if first > 12 {
            keep(&mut self.day_first);
        }
        if second > 12 {
            keep(&mut self.month_first);
        }
    }

    /// Takes in what other dates say.
    pub(super) fn merge(&mut self, other: Self) {
        self.day_first = self.day_first.take().or(other.day_first);
        self.month_first = self.month_first.take().or(other.month_first);
        self.any = self.any.take().or(other.any);
    }

    /// Whether no date has an order.
    pub(super) fn is_empty(&self) -> bool {
        self.any.is_none()
    }

    /// The order of all dates, and a remark if nothing but custom speaks for it.
    ///
    /// # Errors
    /// Two dates that contradict each other.
    pub(super) fn order(&self, asked: DayOrder) -> Result<(DayOrder, Option<String>), [&str; 2]> {
        match (asked, &self.day_first, &self.month_first) {
            (DayOrder::Auto, Some(one), Some(other)) => Err([one, other]),
            (DayOrder::Auto, Some(_), None) => Ok((DayOrder::DayFirst, None)),
            (DayOrder::Auto, None, Some(_)) => Ok((DayOrder::MonthFirst, None)),
            (DayOrder::Auto, None, None) => {
                let note = self.any.as_ref().map(|date| {
                    format!(
                        "dates such as `{date}` are read with the month first; \
                         pass --dates day-first if that is wrong"
                    )
                });
                Ok((DayOrder::MonthFirst, note))
            }
            (asked, _, _) => Ok((asked, None)),
        }
    }
}

/// A date and time in seconds since 1970, UTC; `None` if the text is not one.
pub(super) fn timestamp(text: &str, order: DayOrder) -> Option<i64> {
    let (day, time) = match Written::parse(text)? {
        Written::Fixed(day, time) => (day, time),
        Written::Either {
            first,
            second,
            year,
            time,
        } => {
            let (month, day) = match order {
                DayOrder::DayFirst => (second, first),
                DayOrder::Auto | DayOrder::MonthFirst => (first, second),
            };
            (NaiveDate::from_ymd_opt(year, month, day)?, time)
        }
    };
    Some(day.and_time(time).and_utc().timestamp())
}

/// A date as it is written.
enum Written {
    /// Year first: there is one way to read it.
    Fixed(NaiveDate, NaiveTime),
    /// Month and day in either order.
    Either {
        first: u32,
        second: u32,
        year: i32,
        time: NaiveTime,
    },
}

impl Written {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "0:00"));
        let time = clock(time)?;
        let separator = ['/', '-', '.'].into_iter().find(|c| date.contains(*c))?;
        let parts: Vec<&str> = date.split(separator).collect();
        let [first, second, third] = parts[..] else {
            return None;
        };
        if first.len() == 4 {
            let year = number(first)?.try_into().ok()?;
            let day = NaiveDate::from_ymd_opt(year, number(second)?, number(third)?)?;
            return Some(Self::Fixed(day, time));
        }
        let year = match (third.len(), i32::try_from(number(third)?).ok()?) {
            (2, year) => 2000 + year,
            (4, year) => year,
            _ => return None,
        };
        Some(Self::Either {
            first: number(first)?,
            second: number(second)?,
            year,
            time,
        })
    }
}

/// `8:26`, `08:26:00`, `8:26 PM`, `08:26:00Z`.
fn clock(text: &str) -> Option<NaiveTime> {
    let text = text.trim().trim_end_matches('Z');
    let upper = text.to_ascii_uppercase();
    let (text, noon) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(rest), _) => (rest.trim_end(), Some(0)),
        (_, Some(rest)) => (rest.trim_end(), Some(12)),
        _ => (text, None),
    };
    let mut parts = text.split(':');
    let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
    let second = match parts.next() {
        // Tools that count fractions of seconds write zeros here.
        Some(second) => number(
            second
                .trim_end_matches('0')
                .strip_suffix('.')
                .unwrap_or(second),
        )?,
        None => 0,
    };
    let hour = match noon {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(noon) => hour % 12 + noon,
        None => hour,
    };
    match parts.next() {
        Some(_) => None,
        None => NaiveTime::from_hms_opt(hour, minute, second),
    }
}

/// One to four digits.
fn number(text: &str) -> Option<u32> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> i64 {
        text.parse::<chrono::DateTime<chrono::Utc>>()
            .expect("a time")
            .timestamp()
    }

    #[test]
    fn every_way_to_write_a_time_is_read() {
        let expected = Some(utc("2010-12-01T08:26:00Z"));
        for text in [
            "2010-12-01 08:26:00",
            "2010-12-01T08:26:00Z",
            "2010-12-01 08:26:00.000",
            "2010/12/01 8:26",
            "12/1/2010 8:26",
            "12/01/10 08:26",
            "12-01-2010 8:26 AM",
        ] {
            assert_eq!(timestamp(text, DayOrder::MonthFirst), expected, "{text}");
        }
        for text in ["01-12-2010 08:26", "1.12.2010 8:26", "1/12/10 8:26:00 am"] {
            assert_eq!(timestamp(text, DayOrder::DayFirst), expected, "{text}");
        }
        assert_eq!(
            timestamp("12/1/2010 8:26 PM", DayOrder::Auto),
            Some(utc("2010-12-01T20:26:00Z"))
        );
        assert_eq!(
            timestamp("12/1/2010 12:05 AM", DayOrder::Auto),
            Some(utc("2010-12-01T00:05:00Z"))
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2010-13-01 08:26:00",
            "13/13/2010 8:26",
            "12/1/2010 24:00",
            "12/1/2010 0:30 PM",
            "12/1/2010 8:26:00:00",
            "1/12/010 8:26",
            "40513.35",
            "yesterday",
        ] {
            assert_eq!(timestamp(text, DayOrder::Auto), None, "{text}");
        }
    }

    #[test]
    fn the_order_follows_from_the_dates() {
        let order = |dates: &[&str], asked| {
            let mut evidence = Evidence::default();
            dates.iter().for_each(|date| evidence.add(date));
            evidence
                .order(asked)
                .map(|(order, note)| (order, note.is_some()))
                .map_err(|dates| dates.map(str::to_owned))
        };
        let auto = DayOrder::Auto;
        let (day, month) = ("13/1/2011 9:00", "1/13/2011 9:00");
        assert_eq!(
            order(&["1/2/2011 9:00", day], auto),
            Ok((DayOrder::DayFirst, false))
        );
        assert_eq!(
            order(&[month, "1/2/2011"], auto),
            Ok((DayOrder::MonthFirst, false))
        );
        assert_eq!(order(&["1/2/2011"], auto), Ok((DayOrder::MonthFirst, true)));
        assert_eq!(
            order(&["2011-02-01 9:00"], auto),
            Ok((DayOrder::MonthFirst, false))
        );
        assert_eq!(
            order(&[day, month], auto),
            Err([day.to_owned(), month.to_owned()])
        );
        assert_eq!(
            order(&[day, month], DayOrder::DayFirst),
            Ok((DayOrder::DayFirst, false))
        );
    }
}
