//! A session: the catalog's tables and the cluster that runs queries over them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::{DataFrame, SessionContext};
use emporia_connectors::checked::with_whole_chains;
use emporia_connectors::composed::{check_cases, check_depth, compose};
use emporia_connectors::folded::fold;
use emporia_connectors::provider;
use emporia_connectors::stores::Stores;
use emporia_core::catalog::{Catalog, TableDef};
use emporia_core::error::{Error, ErrorKind, Result, nearest};
use futures::future::BoxFuture;
use tokio::sync::OnceCell;
use tonic::transport::{Channel, Endpoint};

use crate::ddl::{self, Declared};
use crate::empty;
use crate::failure::query_error;
use crate::managed::{Managed, Object};
use crate::options::EngineOptions;
use crate::query::{ActiveQueries, Attempt, Query};
use crate::rules::with_halves;
use crate::state::{
    client_state, logical_codec, planning_state, runtime, session_config, with_limits,
};
use crate::wire;

/// How long the scheduler may take to answer what is asked beside a query.
const ANSWER: Duration = Duration::from_secs(10);

/// Most views of which each reads the next one.
const MAX_VIEWS: usize = 64;

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
    /// To ask the scheduler after a failure; made then, and again by itself where it breaks.
    connection: Arc<OnceCell<Channel>>,
    stores: Arc<Stores>,
    declared: Declared,
    max_message_bytes: usize,
    managed: Arc<Managed>,
}

/// Something that a statement made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// `table` or `view`.
    pub kind: &'static str,
    /// Where a table of the warehouse is; `None` for what ends with the session.
    pub location: Option<String>,
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
            managed: Arc::new(Managed::new(catalog.warehouse.clone())),
            catalog: Arc::new(catalog),
            target,
            active: ActiveQueries::default(),
            connection: Arc::default(),
            stores: Arc::clone(stores),
            declared,
            max_message_bytes: options.grpc_max_message_bytes,
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

    /// The definitions of all tables that have one, by name.
    pub(crate) fn definitions(&self) -> BTreeMap<String, TableDef> {
        let mut all = self.catalog.tables.clone();
        all.extend(self.declared.all());
        all
    }

    /// Where queries run.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The scheduler; `None` where queries run in this process. A request fails that is not answered within
    /// seconds.
    ///
    /// # Errors
    /// Where it cannot be reached.
    pub(crate) async fn scheduler(
        &self,
    ) -> std::result::Result<Option<SchedulerGrpcClient<Channel>>, tonic::transport::Error> {
        let Target::Scheduler(url) = &self.target else {
            return Ok(None);
        };
        let connect = async || {
            let endpoint = with_limits(Endpoint::from_shared(url.clone())?);
            endpoint.timeout(ANSWER).connect().await
        };
        let channel = self.connection.get_or_try_init(connect).await?;
        let client = SchedulerGrpcClient::new(channel.clone());
        // The places of a result are many.
        Ok(Some(
            client.max_decoding_message_size(self.max_message_bytes),
        ))
    }

    /// The queries under way.
    pub fn active(&self) -> &ActiveQueries {
        &self.active
    }

    /// Looks which tables the warehouse has, for [`Session::has_table`].
    ///
    /// # Errors
    /// Where it cannot be listed.
    pub async fn list_warehouse(&self) -> Result<()> {
        self.managed.list(&self.context.state()).await
    }

    /// Whether the catalog, the warehouse as it was listed, or an earlier statement has the table.
    pub fn has_table(&self, name: &str) -> bool {
        self.catalog.tables.contains_key(name)
            || self.managed.is_listed(name)
            || self.managed.object(name).is_some()
            || self
                .context
                .table_exist(TableReference::bare(name))
                .unwrap_or_default()
    }

    pub(crate) fn managed(&self) -> &Managed {
        &self.managed
    }

    /// The definition of an earlier `CREATE EXTERNAL TABLE`.
    pub(crate) fn declared(&self, name: &str) -> Option<TableDef> {
        self.declared.get(name)
    }

    /// The columns of a table of `CREATE EXTERNAL TABLE` that are declared NOT NULL.
    pub(crate) fn required(&self, name: &str) -> Vec<String> {
        self.declared.required(name)
    }

    pub(crate) fn forget_declared(&self, name: &str) {
        self.declared.remove(name);
    }

    /// Makes the planner forget a table, so that its next use looks at it again.
    pub(crate) fn forget_registered(&self, name: &str) -> Result<()> {
        let known = |e| Error::internal(format!("cannot forget table `{name}`")).with_source(e);
        self.context
            .deregister_table(TableReference::bare(name))
            .map_err(known)?;
        Ok(())
    }

    /// The table of this name that `CREATE TABLE` made.
    pub(crate) async fn managed_table(&self, name: &str) -> Result<Option<TableDef>> {
        match self.managed.object(name) {
            Some(Object::Table(table)) => return Ok(Some(table)),
            Some(Object::View(_)) => {
                return Err(Error::invalid(format!(
                    "`{name}` is a view, which takes no rows"
                )));
            }
            None => {}
        }
        if self.definition(name).is_some() {
            return Ok(None);
        }
        self.managed.lasting(name, &self.context.state()).await
    }

    /// What statements made: tables of the warehouse, and tables and views of this session.
    ///
    /// # Errors
    /// Where the warehouse cannot be listed.
    pub async fn made(&self) -> Result<Vec<Made>> {
        let state = self.context.state();
        let mut made = BTreeMap::new();
        for (name, table) in self.managed.all_lasting(&state).await? {
            if !self.catalog.tables.contains_key(&name) {
                made.insert(name, ("table", Some(table.location)));
            }
        }
        for name in self.declared.names() {
            made.insert(name, ("table", None));
        }
        for (name, object) in self.managed.objects() {
            let kind = match object {
                Object::View(_) => "view",
                Object::Table(_) => "table",
            };
            made.insert(name, (kind, None));
        }
        let made = made.into_iter().map(|(name, (kind, location))| Made {
            name,
            kind,
            location,
        });
        Ok(made.collect())
    }

    /// Removes the tables that end with the session. Without it, those in a folder of this machine
    /// go with the last clone of the session, those in a warehouse stay.
    ///
    /// # Errors
    /// Where the store cannot delete.
    pub async fn close(&self) -> Result<()> {
        self.managed.close(&self.context.state()).await
    }

    /// Makes tables known to the context as they are now, so that SQL can name them. Names that
    /// nothing has are left out: planning reports them, with their position.
    ///
    /// # Errors
    /// Where a table's location or definition is wrong.
    pub async fn prepare<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        for name in names {
            self.prepare_one(name, MAX_VIEWS).await?;
        }
        Ok(())
    }

    /// Makes one table known, and what a view of this name reads.
    fn prepare_one<'a>(&'a self, name: &'a str, views: usize) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            match self.managed.object(name) {
                Some(Object::Table(table)) => return self.register(name, &table).await,
                Some(Object::View(text)) => {
                    let below = views.checked_sub(1).ok_or_else(|| {
                        Error::invalid(format!(
                            "view `{name}` reads too many views one below another"
                        ))
                        .with_hint(format!("at most {MAX_VIEWS} can"))
                    })?;
                    for table in self.tables_of_view(&text)? {
                        self.prepare_one(&table, below).await?;
                    }
                    let view = self.view(name, &text).await?;
                    return self.replace(name, Arc::new(view));
                }
                None => {}
            }
            if let Some(table) = self.definition(name) {
                return self.register(name, &table).await;
            }
            match self.managed.lasting(name, &self.context.state()).await? {
                Some(table) => {
                    self.register(name, &table).await?;
                    self.managed.note_registered(name);
                    Ok(())
                }
                // Another session may have dropped it.
                None if self.managed.take_registered(name) => self.forget_registered(name),
                None => Ok(()),
            }
        })
    }

    /// Makes all tables known that can be read.
    pub(crate) async fn prepare_all(&self) {
        let mut names: Vec<_> = self.catalog.tables.keys().cloned().collect();
        match self.made().await {
            Ok(made) => names.extend(made.into_iter().map(|made| made.name)),
            Err(error) => tracing::debug!(%error, "the warehouse is left out"),
        }
        for name in names {
            if let Err(error) = self.prepare([name.as_str()]).await {
                tracing::debug!(table = name, %error, "table is left out");
            }
        }
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
            match self.prepare_one(name, MAX_VIEWS).await {
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    let Some(table) = self.definition(name) else {
                        return Err(e);
                    };
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
        let reference = TableReference::bare(name);
        self.context
            .deregister_table(reference.clone())
            .map_err(known)?;
        self.context
            .register_table(reference, provider)
            .map_err(known)?;
        Ok(())
    }

    /// The frame of a table.
    ///
    /// # Errors
    /// `NotFound` with the nearest table name; else as of [`Session::prepare`].
    pub async fn table(&self, name: &str) -> Result<DataFrame> {
        let reference = TableReference::bare(name);
        let is_known = || {
            self.context
                .table_exist(reference.clone())
                .unwrap_or_default()
        };
        if !is_known() {
            self.prepare([name]).await?;
        }
        if !is_known() {
            return Err(self.unknown_table(name));
        }
        self.context
            .table(reference.clone())
            .await
            .map_err(query_error)
    }

    /// The error for a table that nobody declared.
    pub fn unknown_table(&self, name: &str) -> Error {
        let mut names = self.declared.names();
        names.extend(self.catalog.tables.keys().cloned());
        names.extend(self.managed.objects().into_keys());
        let error = Error::not_found(format!("there is no table `{name}`"));
        match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("`emporia tables` lists the tables of the catalog"),
        }
    }

    /// Starts a query.
    ///
    /// # Errors
    /// Where the plan is wrong, or the first step fails.
    pub async fn start(&self, frame: DataFrame) -> Result<Query> {
        let attempt = self.attempt(frame.clone()).await?;
        Ok(Query::new(self.clone(), frame, attempt))
    }

    pub(crate) async fn attempt(&self, frame: DataFrame) -> Result<Attempt> {
        let (state, plan) = frame.into_parts();
        check_depth(&plan)
            .and_then(|()| check_cases(&plan))
            .map_err(query_error)?;
        if let LogicalPlan::Explain(explain) = &plan {
            // What is explained is optimised in the scheduler only.
            state.optimize(&explain.plan).map_err(query_error)?;
        }
        let optimized = state.optimize(&plan).map_err(query_error)?;
        check_depth(&optimized).map_err(query_error)?;
        let plan: Arc<dyn ExecutionPlan> = match optimized {
            // Ballista's planner loses the columns of a relation that is known to be empty.
            LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row => {
                Arc::new(EmptyExec::new(Arc::clone(empty.schema.inner())))
            }
            // It is about columns, which this process knows.
            LogicalPlan::DescribeTable(_) => DefaultPhysicalPlanner::default()
                .create_physical_plan(&optimized, &state)
                .await
                .map_err(query_error)?,
            _ => {
                let optimized = empty::with_columns(optimized).map_err(query_error)?;
                let optimized = match self.target {
                    Target::SingleProcess => optimized,
                    Target::Scheduler(_) => with_whole_chains(optimized)
                        .and_then(with_halves)
                        .and_then(compose)
                        .and_then(fold)
                        .map_err(query_error)?,
                };
                if let Target::Scheduler(_) = self.target {
                    wire::check(&optimized, logical_codec().as_ref(), self.max_message_bytes)?;
                }
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
    pub async fn check_reachable(&self, patience: Duration) -> Result<()> {
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
