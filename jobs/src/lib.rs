//! The DataFrame jobs of Emporia.
//!
//! | module | job | answers |
//! |---|---|---|
//! | [`cleaning`] | `cleaning` | which rows can be trusted, and what was wrong with the others |
//! | [`cohort`] | `cohort` | how many customers come back, period after period |
//! | [`clv`] | `clv` | what a customer was worth and will be worth |
//! | [`revenue`] | `revenue_by_category` | what each category sold, net of discounts |
//!
//! A job plans on a session's tables and lets the cluster do everything that grows with the data;
//! what comes back to the client is bounded (cells of a grid, counters, a model). A session may also
//! run in one process, without a cluster: that is how the tests of this crate run.

pub mod cleaning;
pub mod clv;
pub mod cohort;
pub mod revenue;

mod literal_table;
mod money;
mod orders;
mod params;
mod period;
mod rows;
mod tables;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use emporia_engine::job::Job;

/// Every DataFrame job, in the order in which they are listed.
pub fn all() -> Vec<Arc<dyn Job>> {
    vec![
        Arc::new(cleaning::Cleaning::new()),
        Arc::new(cohort::Cohort::new()),
        Arc::new(clv::Clv::new()),
        Arc::new(revenue::RevenueByCategory::new()),
    ]
}
