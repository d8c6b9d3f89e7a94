//! How far a prediction looks ahead, and in which steps it is discounted.

use emporia_models::clv::TimeUnit;

use super::Settings;

/// The unit of the horizon, which is also the step of discounting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HorizonUnit {
    Month,
    Week,
    Day,
}

impl HorizonUnit {
    /// The unit of a name; months if it is any other.
    pub(super) fn of_name(name: Option<&str>) -> Self {
        match name {
            Some("week") => Self::Week,
            Some("day") => Self::Day,
            _ => Self::Month,
        }
    }

    /// The name, as in the parameter.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
        }
    }
}

impl Settings {
    /// A step of the horizon in the unit of the purchase model.
    pub(super) fn step(&self) -> f64 {
        match self.horizon_unit {
            HorizonUnit::Month => self.unit.per_month(),
            HorizonUnit::Week => TimeUnit::Week.days() / self.unit.days(),
            HorizonUnit::Day => TimeUnit::Day.days() / self.unit.days(),
        }
    }

    /// The discount of a step: compounded over a month, it is the discount per month.
    pub(super) fn discount_per_step(&self) -> f64 {
        match self.horizon_unit {
            HorizonUnit::Month => self.discount_rate,
            _ => (1.0 + self.discount_rate).powf(self.step() / self.unit.per_month()) - 1.0,
        }
    }
}
