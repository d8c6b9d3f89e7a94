//! The jobs that the demonstration explains, and how their tables are shown.

use std::sync::Arc;

use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::{Error, Result};
use emporia_core::job::JobSpec;
use emporia_engine::query_error;

use super::readings::{self, Rows};
use super::results::Results;
use crate::args::Format;
use crate::output::{self, Display, print_line};

/// Rows of a table that are printed.
const ROWS: usize = 8;

/// How a job is shown.
pub(super) struct Shown {
    pub(super) job: &'static str,
    /// What the job finds out.
    title: &'static str,
    /// The table to show.
    pub(super) output: &'static str,
    /// Its columns, of those that there are.
    columns: &'static [&'static str],
    /// Column by which the largest come first; without it the order of the job stays.
    largest: Option<&'static str>,
    /// What the table says, from all its rows.
    reading: fn(&Rows) -> Option<String>,
}

/// The shown jobs in their order; later ones may read what earlier ones made.
pub(super) const SHOWN: &[Shown] = &[
    Shown {
        job: "cleaning",
        title: "Which rows of a dirty feed can be trusted?",
        output: "cleaning_counters",
        columns: &["table_name", "rule_id", "action", "rows"],
        largest: Some("rows"),
        reading: readings::cleaning,
    },
    Shown {
        job: "cohort",
        title: "How many customers come back, month after month?",
        output: "cohort",
        columns: &[
            "cohort",
            "period_index",
            "cohort_size",
            "users",
            "orders",
            "revenue",
            "retention",
            "incomplete",
        ],
        largest: None,
        reading: readings::cohort,
    },
    Shown {
        job: "clv",
        title: "What is a customer worth in the next twelve months?",
        output: "clv",
        columns: &[
            "user_id",
            "orders",
            "revenue",
            "segment",
            "p_alive",
            "expected_purchases",
            "expected_value",
            "clv",
        ],
        largest: Some("clv"),
        reading: readings::clv,
    },
    Shown {
        job: "revenue_by_category",
        title: "What does each category sell, net of discounts?",
        output: "revenue_by_category",
        columns: &[
            "period",
            "category_name",
            "gross",
            "discount",
            "net",
            "units",
            "orders",
            "share",
        ],
        largest: None,
        reading: readings::revenue_by_category,
    },
    Shown {
        job: "sales_by_month",
        title: "How do sales develop?",
        output: "sales_by_month",
        columns: &[
            "month",
            "orders",
            "buyers",
            "revenue",
            "avg_order_value",
            "revenue_change",
        ],
        largest: None,
        reading: readings::sales_by_month,
    },
    Shown {
        job: "conversion_funnel",
        title: "Where do visitors leave?",
        output: "conversion_funnel",
        columns: &["stage", "sessions", "step_rate", "overall_rate"],
        largest: None,
        reading: readings::funnel,
    },
    Shown {
        job: "top_products",
        title: "What sells best?",
        output: "top_products",
        columns: &[
            "rank",
            "product_id",
            "product_name",
            "units",
            "orders",
            "revenue",
        ],
        largest: None,
        reading: readings::top_products,
    },
    Shown {
        job: "product_affinity",
        title: "What is bought together?",
        output: "product_affinity",
        columns: &[
            "product_name_a",
            "product_name_b",
            "orders",
            "confidence_a_to_b",
            "lift",
        ],
        largest: None,
        reading: readings::affinity,
    },
    Shown {
        job: "delivery_time",
        title: "How long does delivery take?",
        output: "delivery_time",
        columns: &[
            "category",
            "orders",
            "avg_days",
            "p50_days",
            "p95_days",
            "in_time_share",
        ],
        largest: None,
        reading: readings::delivery,
    },
];

/// Prints title, first rows and reading of a job.
pub(super) async fn print(shown: &Shown, spec: &JobSpec, results: &Results) -> Result<()> {
    print_line(&format!(
        "\n{}  ({}: {})\n",
        shown.title, spec.name, spec.summary
    ))?;
    let (session, frame) = results.frame(shown.output).await?;
    let schema = Arc::clone(frame.schema().inner());
    let first = session.collect(first_rows(shown, frame)?).await?;
    if let Some(batch) = first.first() {
        let batch = concat_batches(&batch.schema(), &first).map_err(assembled)?;
        output::print(Format::Table, &Display::default(), &batch)?;
    }
    let all = results.rows(shown.output).await?;
    let all: RecordBatch = concat_batches(&schema, &all).map_err(assembled)?;
    let n_more = all.num_rows().saturating_sub(ROWS);
    if n_more > 0 {
        print_line(&format!(
            "… and {} more rows",
            crate::console::grouped(n_more as u64)
        ))?;
    }
    let reading = (shown.reading)(&Rows::new(all));
    print_line(&format!(
        "→ {}",
        reading
            .as_deref()
            .unwrap_or("There is too little data to say.")
    ))
}

fn first_rows(shown: &Shown, frame: DataFrame) -> Result<DataFrame> {
    let has = |name: &&str| frame.schema().fields().iter().any(|f| f.name() == name);
    let columns: Vec<_> = shown
        .columns
        .iter()
        .copied()
        .filter(|n| has(n))
        .map(ident)
        .collect();
    let sorted = match shown.largest {
        Some(column) => frame.sort(vec![ident(column).sort(false, false)]),
        None => Ok(frame),
    };
    sorted
        .and_then(|frame| frame.select(columns))
        .and_then(|frame| frame.limit(0, Some(ROWS)))
        .map_err(query_error)
}

fn assembled(error: ArrowError) -> Error {
    Error::internal("cannot put the rows together").with_source(error)
}
