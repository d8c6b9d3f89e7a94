//! The table provider over a collection.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use mongodb::bson::Document;
use serde::{Deserialize, Serialize};

use super::filter::translate;
use super::mapping::{Column, Malformed, schema_of};
use super::namespace::Namespace;
use super::predicate::conjunction;
use super::source::CollectionSource;
use super::splits::Split;
use crate::split::{SplitScanExec, deal};

/// A collection with its columns and splits; a recipe, without a connection.
#[derive(Debug, Clone)]
pub struct CollectionTable {
    recipe: Recipe,
    schema: SchemaRef,
}

/// What makes a [`CollectionTable`]; it crosses the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Recipe {
    pub(super) namespace: Namespace,
    pub(super) columns: Vec<Column>,
    pub(super) malformed: Malformed,
    pub(super) split_by: String,
    pub(super) splits: Vec<Split>,
    pub(super) is_ordered: bool,
    pub(super) has_collation: bool,
    pub(super) estimated_rows: Option<usize>,
    /// Why the table can be written but not read.
    pub(super) unreadable: Option<String>,
}

impl CollectionTable {
    /// The table of this recipe.
    pub(super) fn new(recipe: Recipe) -> Self {
        let schema = schema_of(&recipe.columns);
        Self { recipe, schema }
    }

    /// The table as bytes, for a plan that crosses the wire.
    ///
    /// # Errors
    /// When the recipe cannot be serialised.
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&self.recipe).map_err(|e| DataFusionError::External(Box::new(e)))
    }

    /// Rebuilds the table from [`CollectionTable::encode`]; does no I/O.
    ///
    /// # Errors
    /// When the bytes are not a recipe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let recipe =
            serde_json::from_slice(bytes).map_err(|e| DataFusionError::External(Box::new(e)))?;
        Ok(Self::new(recipe))
    }

    fn filter(&self, expr: &Expr) -> Option<Document> {
        translate(expr, &self.recipe.columns)?
            .to_filter(&self.recipe.columns, self.recipe.malformed)
    }
}

#[async_trait]
impl TableProvider for CollectionTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // The server's filter may select more; DataFusion judges every row again.
        let support = |expr: &&Expr| match self.filter(expr) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let recipe = &self.recipe;
        if let Some(why) = &recipe.unreadable {
            return plan_err!("{why}");
        }
        let columns = match projection {
            Some(indices) => indices
                .iter()
                .filter_map(|i| recipe.columns.get(*i).cloned())
                .collect(),
            None => recipe.columns.clone(),
        };
        let source = CollectionSource {
            namespace: recipe.namespace.clone(),
            columns,
            malformed: recipe.malformed,
            filter: conjunction(filters.iter().filter_map(|f| self.filter(f)).collect()),
            split_by: recipe.split_by.clone(),
            is_ordered: recipe.is_ordered,
            has_collation: recipe.has_collation,
            estimated_rows: recipe.estimated_rows,
        };
        let splits = recipe
            .splits
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        let partitions = deal(splits, state.config().target_partitions());
        Ok(Arc::new(SplitScanExec::try_new(
            Arc::new(source),
            &partitions,
            limit,
        )?))
    }
}
