//! Writing files: in full under a name of their own, then moved to their place.
//!
//! A reader sees the old file or the new one, never a part. As long as all content is at hand, a
//! write that breaks starts again with a new file, which HDFS places on other DataNodes.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::FutureExt;
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, UploadPart};
use tokio::sync::{mpsc, oneshot};

use super::cluster::Cluster;
use super::fault::{Fault, FaultKind};
use super::filesystem::NewFile;
use super::retry::{Tries, within};

/// A file that is not in its place yet.
struct Draft {
    path: String,
    file: Box<dyn NewFile>,
    length: u64,
    /// It has one copy for now, and is to have more.
    needs_copies: bool,
}

impl Cluster {
    /// Writes `payload` to `target`, in one step for all who look.
    pub(super) async fn put(
        &self,
        target: &str,
        payload: &PutPayload,
        overwrite: bool,
    ) -> Result<(), Fault> {
        if !overwrite && self.exists(target).await? {
            let text = format!("`{target}` exists already");
            return Err(Fault::new(FaultKind::AlreadyExists, text));
        }
        let mut tries = self.patience.tries(target);
        let draft = loop {
            match self.write_once(target, payload, &tries).await {
                Ok(draft) => break draft,
                Err(fault) => tries.wait_after(fault).await?,
            }
        };
        self.publish(draft, target, overwrite).await
    }

    async fn write_once(
        &self,
        target: &str,
        payload: &PutPayload,
        earlier: &Tries,
    ) -> Result<Draft, Fault> {
        let mut draft = self.begin_once(target, payload, earlier).await?;
        match self.close(&mut draft).await {
            Ok(()) => Ok(draft),
            Err(fault) => {
                self.discard(draft).await;
                Err(fault)
            }
        }
    }

    /// Begins a file for `target` with its first part, again where it breaks.
    async fn begin(&self, target: &str, first: &PutPayload) -> Result<Draft, Fault> {
        let mut tries = self.patience.tries(target);
        loop {
            match self.begin_once(target, first, &tries).await {
                Ok(draft) => return Ok(draft),
                Err(fault) => tries.wait_after(fault).await?,
            }
        }
    }

    /// As [`Self::begin`], once, after the `earlier` tries.
    async fn begin_once(
        &self,
        target: &str,
        first: &PutPayload,
        earlier: &Tries,
    ) -> Result<Draft, Fault> {
        let path = beside(target);
        let copies = self.placement.copies(earlier.met_dead_data_nodes());
        let file = self.once(self.files.create(&path, copies)).await?;
        if copies.is_none()
            && self.placement.wanted().is_none()
            && let Ok(status) = self.once(self.files.status(&path)).await
            && let Some(usual) = status.replication
        {
            self.placement.learn(usual);
        }
        let mut draft = Draft {
            path,
            file,
            length: 0,
            needs_copies: copies.is_some_and(|copies| Some(copies) < self.placement.wanted()),
        };
        match self.append(&mut draft, first).await {
            Ok(()) => Ok(draft),
            Err(fault) => {
                self.discard(draft).await;
                Err(fault)
            }
        }
    }

    async fn append(&self, draft: &mut Draft, part: &PutPayload) -> Result<(), Fault> {
        for bytes in part {
            draft.length += bytes.len() as u64;
            self.placed(draft.file.write(bytes.clone())).await?;
        }
        Ok(())
    }

    async fn close(&self, draft: &mut Draft) -> Result<(), Fault> {
        self.placed(draft.file.close()).await
    }

    /// Waits for DataNodes to take what is written, and notes where they do not.
    async fn placed(
        &self,
        writing: impl Future<Output = Result<(), Fault>> + Send,
    ) -> Result<(), Fault> {
        let start = Instant::now();
        let written = within(self.patience.limit, writing).await;
        if written
            .as_ref()
            .is_err_and(|fault| fault.kind() == FaultKind::DataNodes)
        {
            self.placement.failed(start.elapsed());
        }
        written
    }

    /// Moves a closed draft to `target`.
    async fn publish(&self, draft: Draft, target: &str, overwrite: bool) -> Result<(), Fault> {
        let moved = self.rename(&draft.path, target, overwrite, Some(draft.length));
        if let Err(fault) = moved.await {
            self.discard(draft).await;
            return Err(fault);
        }
        if draft.needs_copies
            && let Some(copies) = self.placement.wanted()
        {
            let asked = self.call(target, || self.files.set_replication(target, copies));
            if let Err(fault) = asked.await {
                tracing::warn!(path = target, %fault, "the file keeps one copy");
            }
        }
        Ok(())
    }

    /// Moves `from` to `to`, which has `length` bytes afterwards, where that is known.
    ///
    /// An answer that was lost says nothing about the move. It was made if the source is gone and
    /// the target is there.
    pub(super) async fn rename(
        &self,
        from: &str,
        to: &str,
        overwrite: bool,
        length: Option<u64>,
    ) -> Result<(), Fault> {
        let mut tries = self.patience.tries(to);
        let mut may_be_done = false;
        loop {
            let moved = self.once(self.files.rename(from, to, overwrite)).await;
            // A file that is replaced within a millisecond by one of its size has the same version.
            self.forget_blocks(to);
            let fault = match moved {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            if may_be_done && !fault.is_transient() && self.was_moved(from, to, length).await? {
                return Ok(());
            }
            may_be_done = true;
            tries.wait_after(fault).await?;
        }
    }

    async fn was_moved(&self, from: &str, to: &str, length: Option<u64>) -> Result<bool, Fault> {
        if self.exists(from).await? {
            return Ok(false);
        }
        match self.file(to).await {
            Ok(status) => Ok(length.is_none_or(|length| length == status.version.length)),
            Err(fault) if fault.kind() == FaultKind::NotFound => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// Removes a draft; one that stays behind is in nobody's way.
    async fn discard(&self, draft: Draft) {
        // Closes it, so that the lease is not renewed any more.
        drop(draft.file);
        if let Err(fault) = self.once(self.files.delete(&draft.path)).await {
            tracing::debug!(path = %draft.path, %fault, "a broken file stays behind");
        }
    }
}

/// A new name in the folder of `target`, which listings of data files pass over.
fn beside(target: &str) -> String {
    let (folder, name) = target.rsplit_once('/').unwrap_or(("", target));
    format!("{folder}/.{name}.{}", uuid::Uuid::now_v7().simple())
}

/// What an [`Upload`] asks of its writer.
enum Order {
    Part(PutPayload, oneshot::Sender<Result<(), Fault>>),
    Complete(oneshot::Sender<Result<(), Fault>>),
}

/// A file that is written in parts.
///
/// HDFS only appends, so that one task writes the parts in the order in which they came. When the
/// upload is dropped before it is complete, the task removes the file.
#[derive(Debug)]
pub(super) struct Upload {
    target: String,
    /// Unbounded because parts come without waiting; the senders of parts limit how many they
    /// have on the way.
    orders: Option<mpsc::UnboundedSender<Order>>,
}

impl Upload {
    pub(super) fn start(cluster: &Arc<Cluster>, target: String, overwrite: bool) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let cluster = Arc::clone(cluster);
        let path = target.clone();
        tokio::spawn(async move { write_parts(&cluster, &path, overwrite, received).await });
        Self {
            target,
            orders: Some(orders),
        }
    }

    /// Sends an order at once; the outcome comes when it is carried out.
    fn order(&self, order: impl FnOnce(oneshot::Sender<Result<(), Fault>>) -> Order) -> UploadPart {
        let (done, outcome) = oneshot::channel();
        let lost = || Fault::new(FaultKind::DataNodes, "the write was ended");
        let sent = match &self.orders {
            Some(orders) => orders.send(order(done)).map_err(|_| lost()),
            None => Err(lost()),
        };
        let target = self.target.clone();
        async move {
            let outcome = match sent {
                Ok(()) => outcome.await.unwrap_or_else(|_| Err(lost())),
                Err(fault) => Err(fault),
            };
            outcome.map_err(|fault| fault.at(&target))
        }
        .boxed()
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.order(|done| Order::Part(data, done))
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        self.order(Order::Complete).await?;
        self.orders = None;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.orders = None;
        Ok(())
    }
}

async fn write_parts(
    cluster: &Cluster,
    target: &str,
    overwrite: bool,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut parts = Parts {
        cluster,
        target,
        draft: None,
        broken: None,
    };
    while let Some(order) = orders.recv().await {
        // Nobody may wait for the outcome any more; the next order tells.
        match order {
            Order::Part(part, done) => {
                let outcome = parts.append(&part).await;
                let _unheard = done.send(outcome);
            }
            Order::Complete(done) => {
                let outcome = parts.complete(overwrite).await;
                let _unheard = done.send(outcome);
            }
        }
    }
    if let Some(draft) = parts.draft {
        cluster.discard(draft).await;
    }
}

/// The parts written so far.
struct Parts<'a> {
    cluster: &'a Cluster,
    target: &'a str,
    draft: Option<Draft>,
    /// Why nothing is written any more.
    broken: Option<Fault>,
}

impl Parts<'_> {
    async fn append(&mut self, part: &PutPayload) -> Result<(), Fault> {
        if let Some(fault) = &self.broken {
            return Err(fault.clone());
        }
        let outcome = match &mut self.draft {
            Some(draft) => self.cluster.append(draft, part).await,
            None => match self.cluster.begin(self.target, part).await {
                Ok(draft) => {
                    self.draft = Some(draft);
                    Ok(())
                }
                Err(fault) => Err(fault),
            },
        };
        if let Err(fault) = &outcome {
            self.broken = Some(fault.clone());
            if let Some(draft) = self.draft.take() {
                self.cluster.discard(draft).await;
            }
        }
        outcome
    }

    async fn complete(&mut self, overwrite: bool) -> Result<(), Fault> {
        if self.draft.is_none() {
            self.append(&PutPayload::default()).await?;
        }
        let Some(mut draft) = self.draft.take() else {
            return Err(Fault::new(FaultKind::DataNodes, "the write was ended"));
        };
        match self.cluster.close(&mut draft).await {
            Ok(()) => self.cluster.publish(draft, self.target, overwrite).await,
            Err(fault) => {
                self.cluster.discard(draft).await;
                Err(fault)
            }
        }
    }
}

/// The path of HDFS for a path of the object store interface.
pub(super) fn absolute(path: &Path) -> String {
    format!("/{path}")
}
