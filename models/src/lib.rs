//! Customer models of Emporia: how often will a customer buy, is the customer still active, what
//! will an average purchase be worth, and what is all of that worth today.
//!
//! | module | model | answers |
//! |---|---|---|
//! | [`bg_nbd`] | BG/NBD | number of purchases, probability of being active |
//! | [`gamma_gamma`] | Gamma-Gamma | expected value of a purchase |
//! | [`clv`] | discounted cash flow | lifetime value over a horizon |
//! | [`simulate`] | both models, forwards | customers with known parameters, for tests and data |
//! | [`special`] | – | the special functions behind them |
//!
//! The crate is arithmetic only: it reads no files, starts no threads and knows no query engine.
//! Callers reduce their orders to one row per customer (or one weighted row per group of equal
//! customers), in a unit of time of their choice, and get numbers in the same unit back.
//!
//! The usual way through it:
//!
//! ```
//! use emporia_models::bg_nbd::BgNbd;
//! use emporia_models::clv::{discounted_clv, Horizon, TimeUnit};
//! use emporia_models::gamma_gamma::GammaGamma;
//!
//! // Parameters of the CDNOW customers, in weeks and dollars.
//! let purchases = BgNbd::new(0.2426, 4.4135, 0.7929, 2.4258)?;
//! let spend = GammaGamma::new(6.2488, 3.7446, 15.4477)?;
//!
//! // Two repeat purchases, the last one in week 30.43 of 38.86, of 22.35 dollars on average.
//! let value = spend.expected_average_value(2.0, 22.35);
//! let year = Horizon::months(12, TimeUnit::Week, 0.01);
//! let clv = discounted_clv(&purchases, value, 2.0, 30.43, 38.86, &year);
//! assert!(clv > 30.0 && clv < 45.0);
//! # Ok::<(), emporia_models::fit::ParameterError>(())
//! ```

pub mod bg_nbd;
pub mod clv;
pub mod fit;
pub mod gamma_gamma;
pub mod simulate;
pub mod special;

mod curvature;
mod optimise;

#[cfg(test)]
mod cdnow;
