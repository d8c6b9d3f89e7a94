//! The margin of past orders, where the catalog knows the margins of subcategories.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::JoinType;
use datafusion::functions::core::expr_fn::{coalesce, nullif};
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::{cast, lit};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::Result;
use emporia_engine::session::Session;

use super::history::History;
use crate::money;
use crate::tables::{planning, select_columns};

const TABLES: [&str; 3] = ["transaction_items", "products", "subcategories"];

/// Whether the catalog has what a margin is made from.
pub(super) fn has_tables(session: &Session) -> bool {
    TABLES.iter().all(|table| session.has_table(table))
}

/// The orders of the history with the column `margin`, in units of money.
///
/// The margin of an order is the exact sum of `subtotal * profit_margin` of its lines, less the
/// order's rate of discount, rounded to a unit. It is per order, so that the sum over a customer
/// does not depend on the order in which rows are added.
pub(super) async fn margins(session: &Session, history: &History) -> Result<DataFrame> {
    let items = session.table("transaction_items").await?;
    let scale = money::scale_of(&items, "transaction_items", "subtotal")?;
    let columns = ["transaction_id", "product_id", "subtotal"];
    let items = select_columns(items, "transaction_items", &columns)?;
    let products = session.table("products").await?;
    let products = select_columns(products, "products", &["product_id", "subcategory_id"])?;
    let subcategories = session.table("subcategories").await?;
    let columns = ["subcategory_id", "profit_margin"];
    let subcategories = select_columns(subcategories, "subcategories", &columns)?;
    plan(
        history.orders.clone(),
        items,
        products,
        subcategories,
        scale,
    )
    .map_err(planning("the margins of orders"))
}

fn plan(
    orders: DataFrame,
    items: DataFrame,
    products: DataFrame,
    subcategories: DataFrame,
    scale: i8,
) -> datafusion::error::Result<DataFrame> {
    let products = products.select(vec![
        ident("product_id").alias("margin_product"),
        ident("subcategory_id"),
    ])?;
    let subcategories = subcategories.select(vec![
        ident("subcategory_id").alias("margin_subcategory"),
        ident("profit_margin"),
    ])?;
    let gross = items
        .select(vec![
            ident("transaction_id").alias("item_transaction"),
            ident("product_id").alias("item_product"),
            money::units(ident("subtotal"), scale).alias("line_amount"),
        ])?
        .join(
            products,
            JoinType::Inner,
            &["item_product"],
            &["margin_product"],
            None,
        )?
        .join(
            subcategories,
            JoinType::Inner,
            &["subcategory_id"],
            &["margin_subcategory"],
            None,
        )?
        .aggregate(
            vec![ident("item_transaction")],
            vec![
                sum(money::wide_units(ident("line_amount"))
                    * cast(ident("profit_margin"), DataType::Decimal128(8, 4)))
                .alias("gross_margin"),
            ],
        )?;
    let double = |name: &str| cast(ident(name), DataType::Float64);
    let rate = lit(1.0)
        - coalesce(vec![
            double("discount") / nullif(double("subtotal"), lit(0.0)),
            lit(0.0),
        ]);
    let rounded = datafusion::functions::math::expr_fn::round(vec![double("gross_margin") * rate]);
    let margin = coalesce(vec![rounded, lit(0.0)]);
    orders
        .join(
            gross,
            JoinType::Left,
            &["transaction_id"],
            &["item_transaction"],
            None,
        )?
        .select(vec![
            ident("user_id"),
            ident("day"),
            ident("amount"),
            ident("currency"),
            cast(margin, DataType::Decimal128(38, 0)).alias("margin"),
        ])
}
