//! The jobs that come with Emporia.

use emporia_core::error::Result;

use crate::job::SqlJob;

/// File name and text of every file in `queries/`.
const FILES: &[(&str, &str)] = &[
    (
        "conversion_by_device_referrer.sql",
        include_str!("../queries/conversion_by_device_referrer.sql"),
    ),
    (
        "conversion_funnel.sql",
        include_str!("../queries/conversion_funnel.sql"),
    ),
    (
        "conversion_funnel_ordered.sql",
        include_str!("../queries/conversion_funnel_ordered.sql"),
    ),
    (
        "customers_by_country.sql",
        include_str!("../queries/customers_by_country.sql"),
    ),
    (
        "dataset_summary.sql",
        include_str!("../queries/dataset_summary.sql"),
    ),
    (
        "delivery_time.sql",
        include_str!("../queries/delivery_time.sql"),
    ),
    (
        "event_funnel_ordered.sql",
        include_str!("../queries/event_funnel_ordered.sql"),
    ),
    (
        "payment_methods.sql",
        include_str!("../queries/payment_methods.sql"),
    ),
    (
        "prime_vs_non_prime.sql",
        include_str!("../queries/prime_vs_non_prime.sql"),
    ),
    (
        "product_affinity.sql",
        include_str!("../queries/product_affinity.sql"),
    ),
    (
        "product_rules.sql",
        include_str!("../queries/product_rules.sql"),
    ),
    (
        "repeat_rate.sql",
        include_str!("../queries/repeat_rate.sql"),
    ),
    (
        "revenue_by_country.sql",
        include_str!("../queries/revenue_by_country.sql"),
    ),
    (
        "revenue_by_product.sql",
        include_str!("../queries/revenue_by_product.sql"),
    ),
    (
        "sales_by_age.sql",
        include_str!("../queries/sales_by_age.sql"),
    ),
    (
        "sales_by_day.sql",
        include_str!("../queries/sales_by_day.sql"),
    ),
    (
        "sales_by_gender.sql",
        include_str!("../queries/sales_by_gender.sql"),
    ),
    (
        "sales_by_location.sql",
        include_str!("../queries/sales_by_location.sql"),
    ),
    (
        "sales_by_month.sql",
        include_str!("../queries/sales_by_month.sql"),
    ),
    (
        "satisfaction_by_category.sql",
        include_str!("../queries/satisfaction_by_category.sql"),
    ),
    (
        "spending_by_registration_year.sql",
        include_str!("../queries/spending_by_registration_year.sql"),
    ),
    (
        "top_customers.sql",
        include_str!("../queries/top_customers.sql"),
    ),
    (
        "top_products.sql",
        include_str!("../queries/top_products.sql"),
    ),
    (
        "user_session_summary.sql",
        include_str!("../queries/user_session_summary.sql"),
    ),
];

/// The SQL jobs that come with Emporia, ordered by name.
///
/// # Errors
/// As [`SqlJob::parse`]; the tests of this crate make sure that there are none.
pub fn builtin_jobs() -> Result<Vec<SqlJob>> {
    FILES
        .iter()
        .map(|(file, text)| SqlJob::parse(format!("sql/queries/{file}"), *text))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_query_file_is_listed_and_named_after_its_job() -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
        let on_disk: BTreeSet<String> = crate::load_dir(&folder)?
            .iter()
            .map(|job| format!("{}.sql", job.spec().name))
            .collect();
        let listed: BTreeSet<String> = FILES.iter().map(|(file, _)| (*file).to_owned()).collect();
        assert_eq!(on_disk, listed);
        Ok(())
    }

    #[test]
    fn every_job_says_what_it_means() -> Result<()> {
        for job in builtin_jobs()? {
            let spec = job.spec();
            assert!(!spec.docs.is_empty(), "{} has no docs", spec.name);
            assert_eq!(spec.outputs.first().map(|o| &o.name), Some(&spec.name));
        }
        Ok(())
    }
}
