//! A session: the catalog's tables and the cluster that runs queries over them.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement;
use emporia_connectors::provider;
use emporia_connectors::stores::Stores;
use emporia_core::catalog::{Catalog, TableDef};
use emporia_core::error::{Error, ErrorKind, Result, nearest};

use crate::ddl::{self, Declared};
use crate::dialect::parse_statement;
use crate::empty;
use crate::failure::query_error;
use crate::guard::Guard;
use crate::options::EngineOptions;
use crate::output_names;
use crate::query::{ActiveQueries, Attempt, Query};
use crate::state::{client_state, planning_state, runtime, session_config};

/// Where queries run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// In this process, by DataFusion alone: the reference that the cluster is compared with.
    SingleProcess,
    /// On the cluster whose scheduler listens at this `http://host:port`.
    Scheduler(String),
}

/// A session over a catalog. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    context: SessionContext,
    catalog: Arc<Catalog>,
    target: Target,
    active: ActiveQueries,
    stores: Arc<Stores>,
    declared: Declared,
}

impl Session {
    /// Opens a session; connects only when the first query runs.
    ///
    /// # Errors
    /// `Internal` where the session cannot be built.
    pub fn open(
        catalog: Catalog,
        target: Target,
        options: &EngineOptions,
        stores: &Arc<Stores>,
    ) -> Result<Self> {
        if options.adaptive {
            tracing::warn!(
                "adaptive execution is not used: it hangs on stages without rows and doubles branches of unions"
            );
        }
        let config = session_config(options, stores);
        let state = runtime(None, stores).and_then(|runtime| match &target {
            Target::SingleProcess => planning_state(config, runtime),
            Target::Scheduler(url) => client_state(config, runtime, url),
        });
        let mut state =
            state.map_err(|e| Error::internal("cannot build the session").with_source(e))?;
        let declared = Declared::default();
        ddl::register(&mut state, &declared);
        Ok(Self {
            context: SessionContext::new_with_state(state),
            catalog: Arc::new(catalog),
            target,
            active: ActiveQueries::default(),
            stores: Arc::clone(stores),
            declared,
        })
    }

    /// The DataFusion context, for building expressions and frames.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// The declared tables.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The stores that this process reaches.
    pub fn stores(&self) -> &Arc<Stores> {
        &self.stores
    }

    /// The definition of a table of the catalog or of an earlier `CREATE EXTERNAL TABLE`.
    pub fn definition(&self, name: &str) -> Option<TableDef> {
        let declared = self.declared.get(name);
        declared.or_else(|| self.catalog.tables.get(name).cloned())
    }

    /// Where queries run.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The queries under way.
    pub fn active(&self) -> &ActiveQueries {
        &self.active
    }

    /// Whether the catalog or an earlier `CREATE EXTERNAL TABLE` has the table.
    pub fn has_table(&self, name: &str) -> bool {
        self.catalog.tables.contains_key(name) || self.context.table_exist(name).unwrap_or_default()
    }

    /// Makes catalog tables known to the context as they are now, so that SQL can name them. Names
    /// that the catalog lacks are left out: planning reports them, with their position.
    ///
    /// # Errors
    /// Where a table's location or definition is wrong.
    pub async fn prepare<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        for name in names {
            if let Some(table) = self.catalog.tables.get(name) {
                self.register(name, table).await?;
            }
        }
        Ok(())
    }

    /// As [`Session::prepare`], for a statement that writes: a table of a store that does not exist
    /// yet is known by its declared columns.
    ///
    /// # Errors
    /// As of [`Session::prepare`].
    pub async fn prepare_to_write<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        for name in names {
            let Some(table) = self.catalog.tables.get(name) else {
                continue;
            };
            match self.register(name, table).await {
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    let schema = table.declared_schema()?.ok_or(e)?;
                    self.replace(name, Arc::new(EmptyTable::new(schema)))?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn register(&self, name: &str, table: &TableDef) -> Result<()> {
        let provider = provider::open(name, table, &self.context.state()).await?;
        self.replace(name, provider)
    }

    fn replace(&self, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        let known = |e| Error::internal(format!("cannot register table `{name}`")).with_source(e);
        self.context.deregister_table(name).map_err(known)?;
        self.context.register_table(name, provider).map_err(known)?;
        Ok(())
    }

    /// The frame of a catalog table.
    ///
    /// # Errors
    /// `NotFound` with the nearest table name; else as of [`Session::prepare`].
    pub async fn table(&self, name: &str) -> Result<DataFrame> {
        if !self.context.table_exist(name).unwrap_or_default() {
            let Some(table) = self.catalog.tables.get(name) else {
                return Err(self.unknown_table(name));
            };
            self.register(name, table).await?;
        }
        self.context.table(name).await.map_err(query_error)
    }

    /// The error for a table that nobody declared.
    pub fn unknown_table(&self, name: &str) -> Error {
        let names = self.catalog.tables.keys().map(String::as_str);
        let error = Error::not_found(format!("there is no table `{name}`"));
        match nearest(name, names) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("`emporia tables` lists the tables of the catalog"),
        }
    }

    /// Plans one SQL statement; makes the catalog tables that it names known first.
    ///
    /// # Errors
    /// Those of [`Session::tables_in`], [`Session::prepare`] and [`Session::plan`].
    pub async fn sql(&self, text: &str) -> Result<DataFrame> {
        let names = self.tables_in(text).map_err(query_error)?;
        self.prepare(names.iter().map(String::as_str)).await?;
        self.plan(text).await.map_err(query_error)
    }

    /// The tables that a SQL statement names.
    ///
    /// # Errors
    /// DataFusion's own, so that the caller can point at the place in the text.
    pub fn tables_in(&self, text: &str) -> Result<Vec<String>, DataFusionError> {
        let statement = self.parse(text)?;
        let names = self.context.state().resolve_table_references(&statement)?;
        Ok(names.iter().map(|name| name.table().to_owned()).collect())
    }

    /// Plans one SQL statement over the tables that are known. A statement that writes is run by
    /// [`crate::insert`].
    ///
    /// # Errors
    /// DataFusion's own, so that the caller can point at the place in the text.
    pub async fn plan(&self, text: &str) -> Result<DataFrame, DataFusionError> {
        let mut statement = self.parse(text)?;
        output_names::set_apart(&mut statement);
        let plan = self.context.state().statement_to_plan(statement).await?;
        let plan = output_names::restored(plan)?;
        self.context.execute_logical_plan(plan).await
    }

    fn parse(&self, text: &str) -> Result<Statement, DataFusionError> {
        let state = self.context.state();
        let limit = state.config_options().sql_parser.recursion_limit.get();
        parse_statement(text, limit)
    }

    /// Starts a query. It survives the loss of executors, see [`Query::next`].
    ///
    /// # Errors
    /// Where the plan is wrong, or the first step fails.
    pub async fn start(&self, frame: DataFrame) -> Result<Query> {
        if matches!(self.target, Target::SingleProcess) {
            let attempt = self.attempt(frame.clone()).await?;
            return Ok(Query::new(self.clone(), frame, attempt, None));
        }
        let (guard, attempt) = self.attempt_guarded(frame.clone()).await?;
        Ok(Query::new(self.clone(), frame, attempt, Some(guard)))
    }

    pub(crate) async fn attempt_guarded(&self, frame: DataFrame) -> Result<(Guard, Attempt)> {
        let url = match &self.target {
            Target::Scheduler(url) => url.as_str(),
            Target::SingleProcess => "",
        };
        let guard = Guard::start(url).await;
        Ok((guard, self.attempt(frame).await?))
    }

    async fn attempt(&self, frame: DataFrame) -> Result<Attempt> {
        let (state, plan) = frame.into_parts();
        let optimized = state.optimize(&plan).map_err(query_error)?;
        let plan: Arc<dyn ExecutionPlan> = match optimized {
            // Ballista's planner loses the columns of a relation that is known to be empty.
            LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row => {
                Arc::new(EmptyExec::new(Arc::clone(empty.schema.inner())))
            }
            _ => {
                let optimized = empty::with_columns(optimized).map_err(query_error)?;
                state
                    .query_planner()
                    .create_physical_plan(&optimized, &state)
                    .await
                    .map_err(query_error)?
            }
        };
        let context = self.context.task_ctx();
        let rows = datafusion::physical_plan::execute_stream(Arc::clone(&plan), context)
            .map_err(query_error)?;
        self.active.add(&plan);
        Ok(Attempt { plan, rows })
    }

    /// Runs a frame and returns its rows; for small results only.
    ///
    /// # Errors
    /// `Failed` with the cluster's reason, `Unavailable` where the cluster is lost.
    pub async fn collect(&self, frame: DataFrame) -> Result<Vec<RecordBatch>> {
        self.start(frame).await?.collect().await
    }

    /// Cancels every query of this session.
    ///
    /// # Errors
    /// `Unavailable` where the scheduler cannot be reached.
    pub async fn cancel(&self) -> Result<usize> {
        match &self.target {
            Target::SingleProcess => Ok(0),
            Target::Scheduler(url) => self.active.cancel(url).await,
        }
    }

    /// Checks that the scheduler answers.
    ///
    /// # Errors
    /// `Unavailable` where it does not within `patience`.
    pub async fn check_reachable(&self, patience: std::time::Duration) -> Result<()> {
        let Target::Scheduler(url) = &self.target else {
            return Ok(());
        };
        let address = url
            .strip_prefix("http://")
            .unwrap_or(url)
            .trim_end_matches('/')
            .to_owned();
        let unreachable = || {
            Error::new(
                ErrorKind::Unavailable,
                format!("cannot reach the scheduler at `{url}`"),
            )
            .with_hint("start one with `emporia cluster up`, or pass --cluster local[2]")
        };
        match tokio::time::timeout(patience, tokio::net::TcpStream::connect(address)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(unreachable().with_source(e)),
            Err(_) => Err(unreachable()),
        }
    }
}
