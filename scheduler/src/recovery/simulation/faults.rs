//! What goes wrong.

/// What happens at one event of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// An executor ends, and its files are gone.
    Lost,
    /// The same, and a new process takes its name, before or after the loss is noticed.
    LostAndBack,
    /// The scheduler takes an executor for lost that goes on, reports late, and registers again.
    CutOff,
    /// The report of a task never comes.
    ReportLost,
    /// The report of a task comes after its executor was lost, and perhaps after it is back.
    ReportLate,
    /// A report comes twice.
    ReportTwice,
    /// A file of an output is gone.
    FileGone,
    /// A file of an output is cut off.
    FileCut,
    /// Two executors end at once.
    TwoLost,
    /// An executor ends, and soon after the loss was noticed another one does.
    LostInRecovery,
    /// A new executor joins and soon ends.
    JoinerLost,
    /// All executors end, and perhaps one comes back.
    AllLost,
    /// A task fails by a fault that may pass.
    TaskFailed,
    /// Tasks seem to run for long, so that they are given to a second executor, too.
    Slow,
}

impl Fault {
    pub(super) const ALL: [Self; 14] = [
        Self::Lost,
        Self::LostAndBack,
        Self::CutOff,
        Self::ReportLost,
        Self::ReportLate,
        Self::ReportTwice,
        Self::FileGone,
        Self::FileCut,
        Self::TwoLost,
        Self::LostInRecovery,
        Self::JoinerLost,
        Self::AllLost,
        Self::TaskFailed,
        Self::Slow,
    ];
}
