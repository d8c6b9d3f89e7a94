//! The lines of the orders that count, with the category as of the sale.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{JoinType, ScalarValue};
use datafusion::error::Result as PlanResult;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions::math::expr_fn::abs;
use datafusion::functions_aggregate::expr_fn::{count, max, min, sum};
use datafusion::logical_expr::{Expr, cast, lit, when};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::{Error, Result};
use emporia_core::job::Params;
use emporia_engine::session::Session;

use super::Settings;
use crate::period::in_utc;
use crate::tables::{column_of, has_column, planning, select_columns};
use crate::{money, orders};

/// Name of the category of products that have none.
pub(super) const UNKNOWN: &str = "unknown";
/// Name of the subcategory of rows that are not by subcategory.
pub(super) const ALL: &str = "all";

/// Orders and order lines as narrow frames; money in units of the scale.
pub(super) struct Lines {
    /// `transaction_id, period, subtotal, discount, total, currency`.
    orders: DataFrame,
    /// `item_transaction, line_no, quantity, amount, category, subcategory`.
    items: DataFrame,
    pub scale: i8,
}

impl Lines {
    pub(super) async fn new(
        session: &Session,
        params: &Params,
        settings: Settings,
    ) -> Result<Self> {
        let transactions = session.table("transactions").await?;
        let scale = money::scale_of(&transactions, "transactions", "total")?;
        for (frame, table, column) in [
            (&transactions, "transactions", "subtotal"),
            (&transactions, "transactions", "discount"),
            (
                &session.table("transaction_items").await?,
                "transaction_items",
                "subtotal",
            ),
        ] {
            let other = money::scale_of(frame, table, column)?;
            if other != scale {
                return Err(Error::invalid(format!(
                    "column `{column}` of table `{table}` has {other} decimals, but \
                     `transactions.total` has {scale}"
                )));
            }
        }
        let columns = [
            "transaction_id",
            "ts",
            "subtotal",
            "discount",
            "total",
            "status",
            "currency",
        ];
        let transactions = select_columns(transactions, "transactions", &columns)?;
        let orders =
            orders_of(transactions, params, settings, scale).map_err(planning("orders"))?;
        let items = items_of(session, settings, scale).await?;
        Ok(Self {
            orders,
            items,
            scale,
        })
    }

    /// One row with the sums over orders, against which the categories are checked.
    pub(super) fn order_totals(&self) -> Result<DataFrame> {
        let wide_sum = |name: &str| sum(money::wide_units(ident(name))).alias(name);
        self.orders
            .clone()
            .aggregate(
                vec![],
                vec![
                    count(lit(1)).alias("orders"),
                    wide_sum("subtotal"),
                    wide_sum("discount"),
                    wide_sum("total"),
                    max(abs(ident("subtotal"))).alias("largest_subtotal"),
                    max(abs(ident("discount"))).alias("largest_discount"),
                    min(ident("currency")).alias("min_currency"),
                    max(ident("currency")).alias("max_currency"),
                ],
            )
            .map_err(planning("the totals of orders"))
    }

    /// Gross sales by period, category and subcategory.
    pub(super) fn sales(&self) -> Result<DataFrame> {
        self.plan_sales()
            .map_err(planning("the sales of categories"))
    }

    fn plan_sales(&self) -> PlanResult<DataFrame> {
        let orders = self
            .orders
            .clone()
            .select(vec![ident("transaction_id"), ident("period")])?;
        // Two steps instead of a distinct count: lines of an order first, then orders.
        orders
            .join(
                self.items.clone(),
                JoinType::Inner,
                &["transaction_id"],
                &["item_transaction"],
                None,
            )?
            .aggregate(
                vec![
                    ident("transaction_id"),
                    ident("period"),
                    ident("category"),
                    ident("subcategory"),
                ],
                vec![
                    sum(ident("amount")).alias("order_gross"),
                    sum(ident("quantity")).alias("order_units"),
                    count(lit(1)).alias("order_lines"),
                ],
            )?
            .aggregate(
                vec![ident("period"), ident("category"), ident("subcategory")],
                vec![
                    sum(money::wide_units(ident("order_gross"))).alias("gross"),
                    sum(ident("order_units")).alias("units"),
                    sum(ident("order_lines")).alias("lines"),
                    count(lit(1)).alias("orders"),
                ],
            )
    }

    /// The lines of orders with a discount: `transaction_id, period, discount, line_no, amount,
    /// category, subcategory`.
    pub(super) fn discounted(&self) -> PlanResult<DataFrame> {
        let orders = self
            .orders
            .clone()
            .filter(ident("discount").not_eq(lit(0_i64)))?
            .select(vec![
                ident("transaction_id"),
                ident("period"),
                ident("discount"),
            ])?;
        orders.join(
            self.items.clone(),
            JoinType::Inner,
            &["transaction_id"],
            &["item_transaction"],
            None,
        )
    }
}

fn orders_of(
    transactions: DataFrame,
    params: &Params,
    settings: Settings,
    scale: i8,
) -> PlanResult<DataFrame> {
    let before = settings
        .to
        .map(|to| in_utc(ident("ts")).lt(orders::instant(to)));
    let conditions = [
        orders::qualifying(params),
        orders::from("ts", settings.from),
        before,
    ];
    let transactions = match orders::all_of(conditions) {
        Some(condition) => transactions.filter(condition)?,
        None => transactions,
    };
    let period = match settings.period {
        Some(period) => period.number(ident("ts")),
        None => lit(0_i64),
    };
    let units = |name: &str| money::units(ident(name), scale).alias(name);
    transactions.select(vec![
        ident("transaction_id"),
        period.alias("period"),
        units("subtotal"),
        units("discount"),
        units("total"),
        ident("currency"),
    ])
}

async fn items_of(session: &Session, settings: Settings, scale: i8) -> Result<DataFrame> {
    let plan = || planning("the lines of orders");
    let items = session.table("transaction_items").await?;
    let category = if has_column(&items, "category_id") {
        ident("category_id")
    } else {
        lit(ScalarValue::Utf8(None))
    };
    let columns = [
        "transaction_id",
        "line_no",
        "product_id",
        "quantity",
        "subtotal",
    ];
    for column in columns {
        column_of(&items, "transaction_items", column)?;
    }
    let items = items
        .select(vec![
            ident("transaction_id").alias("item_transaction"),
            ident("line_no"),
            ident("product_id").alias("item_product"),
            cast(ident("quantity"), DataType::Int64).alias("quantity"),
            money::units(ident("subtotal"), scale).alias("amount"),
            category.alias("sold_category"),
        ])
        .map_err(plan())?;
    let (items, category, subcategory) = if session.has_table("products") {
        let products = session.table("products").await?;
        let columns = ["product_id", "category_id", "subcategory_id"];
        let products = select_columns(products, "products", &columns)?;
        let category = coalesce(vec![
            ident("sold_category"),
            ident("category_id"),
            lit(UNKNOWN),
        ]);
        // A product that changed its category has today's subcategory of another category.
        let is_current = category.clone().eq(ident("category_id"));
        let subcategory = when(
            is_current,
            coalesce(vec![ident("subcategory_id"), lit(UNKNOWN)]),
        )
        .otherwise(lit(UNKNOWN))
        .map_err(plan())?;
        let items = items
            .join(
                products,
                JoinType::Left,
                &["item_product"],
                &["product_id"],
                None,
            )
            .map_err(plan())?;
        (items, category, subcategory)
    } else {
        (
            items,
            coalesce(vec![ident("sold_category"), lit(UNKNOWN)]),
            lit(UNKNOWN),
        )
    };
    let subcategory: Expr = if settings.has_subcategories {
        subcategory
    } else {
        lit(ALL)
    };
    items
        .select(vec![
            ident("item_transaction"),
            ident("line_no"),
            ident("quantity"),
            ident("amount"),
            category.alias("category"),
            subcategory.alias("subcategory"),
        ])
        .map_err(plan())
}
