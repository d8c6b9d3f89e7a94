//! The output: one row per customer with history, scores and predictions.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as PlanResult;
use datafusion::functions::core::expr_fn::greatest;
use datafusion::functions::math::expr_fn::signum;
use datafusion::logical_expr::{Expr, cast, lit, when};
use datafusion::prelude::{DataFrame, ident};
use emporia_core::error::Result;
use emporia_engine::session::Session;

use super::Settings;
use super::history::{History, Observed};
use super::model::Models;
use super::rfm::{self, Cuts};
use crate::money;
use crate::tables::{function, planning};

/// Scale of predicted money: it is an estimate, and cents are more than enough.
const CLV_SCALE: i8 = 2;

/// What the client knows when it plans the output.
pub(super) struct Scores<'a> {
    pub settings: &'a Settings,
    pub observed: &'a Observed,
    pub models: &'a Models,
    pub cuts: &'a Cuts,
}

impl Scores<'_> {
    pub(super) fn plan(
        &self,
        session: &Session,
        history: &History,
        orders_with_margin: Option<DataFrame>,
    ) -> Result<DataFrame> {
        let orders = orders_with_margin.unwrap_or_else(|| history.orders.clone());
        let predictions = self.predictions(session)?;
        let customers = history.per_customer(orders)?;
        let customers = self
            .with_scores(customers)
            .map_err(planning("the scores of customers"))?;
        self.finish(customers, predictions)
            .map_err(planning("the values of customers"))
    }

    /// One row per customer with frequency, recency and age in units of time, and the scores.
    pub(super) fn customers(&self, history: &History) -> Result<DataFrame> {
        let customers = history.per_customer(history.orders.clone())?;
        self.with_scores(customers)
            .map_err(planning("the scores of customers"))
    }

    /// Adds frequency, recency and age in units of time, and the three scores.
    fn with_scores(&self, customers: DataFrame) -> PlanResult<DataFrame> {
        let in_units = |days: Expr| cast(days, DataType::Float64) / lit(self.settings.unit.days());
        let last_day = || lit(self.observed.last_day);
        let mean = cast(ident("repeat_revenue"), DataType::Float64)
            / lit(10_f64.powi(i32::from(self.observed.scale)))
            / cast(ident("days") - lit(1_i64), DataType::Float64);
        let mean = when(ident("days").gt(lit(1_i64)), greatest(vec![mean, lit(0.0)]))
            .otherwise(lit(0.0))?;
        customers.select(vec![
            ident("user_id"),
            (ident("days") - lit(1_i64)).alias("frequency"),
            in_units(ident("last_day") - ident("first_day")).alias("recency"),
            in_units(last_day() - ident("first_day")).alias("age"),
            ident("orders"),
            ident("revenue"),
            ident("margin"),
            mean.alias("mean_value"),
            (last_day() - ident("last_day")).alias("days_since_last_order"),
            self.cuts
                .recency
                .score(&(ident("last_day") - last_day()))?
                .alias("r_score"),
            self.cuts
                .frequency
                .score(&ident("orders"))?
                .alias("f_score"),
            self.cuts.money.score(&ident("revenue"))?.alias("m_score"),
        ])
    }

    /// The expected value of a purchase, over the columns of [`Self::with_scores`].
    pub(super) fn value(&self, session: &Session) -> Result<Expr> {
        let Ok(fit) = &self.models.spend else {
            return Ok(lit(ScalarValue::Float64(None)));
        };
        let constants = [fit.parameters.p, fit.parameters.q, fit.parameters.v];
        let columns = vec![double("frequency"), ident("mean_value")];
        call(session, "gg_expected_value", &constants, columns)
    }

    /// The expected purchases within a time in units of the model.
    pub(super) fn purchases_within(&self, session: &Session, time: f64) -> Result<Expr> {
        let Ok(fit) = &self.models.purchases else {
            return Ok(lit(ScalarValue::Float64(None)));
        };
        let model = fit.parameters;
        let constants = [model.r, model.alpha, model.a, model.b, time];
        call(session, "bgnbd_expected_purchases", &constants, history())
    }

    /// The predictions as expressions over the columns of [`Self::with_scores`]: probability to be
    /// active, expected purchases, expected value and discounted value. Null without a model.
    fn predictions(&self, session: &Session) -> Result<[Expr; 4]> {
        let null = || lit(ScalarValue::Float64(None));
        let value = self.value(session)?;
        let Ok(fit) = &self.models.purchases else {
            return Ok([null(), null(), value, null()]);
        };
        let model = fit.parameters;
        let model = [model.r, model.alpha, model.a, model.b];
        let steps = f64::from(self.settings.horizon);
        let step = self.settings.step();
        let discounting = [
            &model[..],
            &[steps, step, self.settings.discount_per_step()],
        ]
        .concat();
        let clv_columns = [vec![value.clone()], history()].concat();
        Ok([
            call(session, "bgnbd_p_alive", &model, history())?,
            self.purchases_within(session, steps * step)?,
            value,
            call(session, "clv_discounted", &discounting, clv_columns)?,
        ])
    }

    fn finish(&self, customers: DataFrame, predictions: [Expr; 4]) -> PlanResult<DataFrame> {
        let [alive, purchases, value, clv] = predictions;
        let scale = self.observed.scale;
        let horizon = i64::from(self.settings.horizon);
        let as_int = |name: &str| cast(ident(name), DataType::Int32).alias(name);
        let score_code = ident("r_score") * lit(100_i64) + ident("f_score") * lit(10_i64);
        let currency = lit(ScalarValue::Utf8(self.observed.currency.clone()));
        let aov = rounded_mean(ident("revenue"), ident("orders"));
        customers.select(vec![
            ident("user_id"),
            ident("frequency"),
            ident("recency"),
            ident("age"),
            lit(self.settings.unit_name()).alias("time_unit"),
            ident("orders"),
            money::from_units(ident("revenue"), scale).alias("revenue"),
            money::from_units(aov, scale).alias("aov"),
            money::from_units(ident("margin"), scale).alias("margin_revenue"),
            as_int("days_since_last_order"),
            as_int("r_score"),
            as_int("f_score"),
            as_int("m_score"),
            cast(score_code + ident("m_score"), DataType::Int32).alias("rfm"),
            rfm::segment()?.alias("segment"),
            alive.alias("p_alive"),
            purchases.alias("expected_purchases"),
            lit(horizon).alias("horizon"),
            lit(self.settings.horizon_unit.name()).alias("horizon_unit"),
            value.alias("expected_value"),
            money::from_double(clv, CLV_SCALE).alias("clv"),
            currency.alias("currency"),
        ])
    }
}

/// A function of the models, its constants before its columns.
fn call(session: &Session, name: &str, constants: &[f64], columns: Vec<Expr>) -> Result<Expr> {
    let constants = constants.iter().map(|c| lit(*c));
    Ok(function(session, name)?.call(constants.chain(columns).collect()))
}

/// The purchase history of a customer as the models take it.
fn history() -> Vec<Expr> {
    vec![double("frequency"), double("recency"), double("age")]
}

fn double(name: &str) -> Expr {
    cast(ident(name), DataType::Float64)
}

/// `total / n` in whole units, rounded half away from zero; `n` is positive.
fn rounded_mean(total: Expr, n: Expr) -> Expr {
    let total = cast(total, DataType::Int64);
    let n = cast(n, DataType::Int64);
    // Half of the divisor is added before the division is cut off.
    let sign = cast(
        signum(cast(total.clone(), DataType::Float64)),
        DataType::Int64,
    );
    (total * lit(2_i64) + sign * n.clone()) / (n * lit(2_i64))
}
