//! Chains of stages that meet one fault each.

use super::*;

/// A chain of stages 1 ← 2 ← 3 with the number of partitions of each.
struct Chain {
    lineage: Lineage,
    actions: Vec<Action>,
}

impl Chain {
    fn new(n_stages: usize, is_repeatable: bool, limits: Limits) -> Self {
        let shapes = (1..=n_stages).map(|id| {
            let inputs = if id == 1 { vec![] } else { vec![id - 1] };
            let shape = StageShape {
                inputs,
                is_repeatable,
            };
            (id, shape)
        });
        let (lineage, actions) = Lineage::new(shapes.collect(), limits).unwrap();
        Self { lineage, actions }
    }

    fn step(&mut self, event: Event) -> &[Action] {
        self.actions = self.lineage.step(event);
        &self.actions
    }

    fn start(&mut self, stage: StageId, n_partitions: usize) {
        self.step(Event::Started {
            stage,
            n_partitions,
        });
    }

    fn bind(&mut self, stage: StageId, executor: &str, partitions: &[usize]) {
        self.step(Event::Bound {
            stage,
            executor: executor.to_owned(),
            partitions: partitions.to_vec(),
        });
    }

    fn succeed(&mut self, stage: StageId, task: TaskId, executor: &str) -> &[Action] {
        self.step(Event::Succeeded {
            stage,
            task,
            executor: executor.to_owned(),
        })
    }

    fn fail(
        &mut self,
        stage: StageId,
        task: TaskId,
        executor: &str,
        failure: Failure,
    ) -> &[Action] {
        self.step(Event::Failed {
            stage,
            task,
            executor: executor.to_owned(),
            failure,
        })
    }

    fn lose(&mut self, executor: &str) -> &[Action] {
        self.step(Event::Lost {
            executor: executor.to_owned(),
        })
    }

    /// Stage 1 is complete, of one partition on each of `a` and `b`; of stage 2, `b` has computed
    /// partition 1 and works on partition 0.
    fn half_done(is_repeatable: bool) -> Self {
        let mut job = Self::new(2, is_repeatable, LIMITS);
        job.start(1, 2);
        job.bind(1, "a", &[0]);
        job.bind(1, "b", &[1]);
        job.succeed(1, 0, "a");
        job.succeed(1, 1, "b");
        job.start(2, 2);
        job.bind(2, "b", &[1]);
        job.succeed(2, 0, "b");
        job.bind(2, "b", &[0]);
        job
    }
}

#[test]
fn what_is_repeatable_is_kept() {
    let mut job = Chain::half_done(true);
    let lost = [
        Action::Forget { stage: 1, task: 0 },
        Action::Kill { stage: 2, task: 1 },
        Action::Wait { stage: 2 },
        Action::Start {
            stage: 1,
            keeps_outputs: true,
        },
    ];
    assert_eq!(job.lose("a"), lost);
    assert!(job.lineage.is_live(2, 0));
    job.start(1, 2);
    let offer = Action::Offer {
        stage: 1,
        partitions: vec![0],
    };
    assert_eq!(job.actions, [offer]);
    job.bind(1, "b", &[0]);
    let start = Action::Start {
        stage: 2,
        keeps_outputs: true,
    };
    assert_eq!(
        job.succeed(1, 2, "b"),
        [Action::Complete { stage: 1 }, start]
    );
    job.start(2, 2);
    job.bind(2, "b", &[0]);
    assert_eq!(job.lineage.n_rerun(), 2);
    let done = [Action::Complete { stage: 2 }, Action::Finish];
    assert_eq!(job.succeed(2, 2, "b"), done);
}

#[test]
fn what_is_not_repeatable_is_computed_again() {
    let mut job = Chain::half_done(false);
    job.lose("a");
    assert!(job.actions.contains(&Action::Forget { stage: 2, task: 0 }));
    assert!(!job.lineage.is_live(2, 0));
}

#[test]
fn of_a_task_and_its_copy_the_first_counts() {
    let mut job = Chain::new(1, true, LIMITS);
    job.start(1, 2);
    job.bind(1, "a", &[0]);
    job.bind(1, "a", &[1]);
    job.succeed(1, 0, "a");
    assert!(job.lineage.may_be_copied(1, 1));
    job.bind(1, "b", &[1]);
    assert!(!job.lineage.may_be_copied(1, 1) && !job.lineage.may_be_copied(1, 2));
    assert_eq!((job.lineage.n_copies(), job.lineage.n_rerun()), (1, 0));
    let done = [
        Action::Kill { stage: 1, task: 1 },
        Action::Complete { stage: 1 },
        Action::Finish,
    ];
    assert_eq!(job.succeed(1, 2, "b"), done);
    assert_eq!(job.succeed(1, 1, "a"), []);
    assert!(job.lineage.is_live(1, 2) && !job.lineage.is_live(1, 1));
}

#[test]
fn a_copy_stands_in_for_a_lost_task() {
    let mut job = Chain::new(1, true, LIMITS);
    job.start(1, 1);
    job.bind(1, "a", &[0]);
    job.bind(1, "b", &[0]);
    assert_eq!(job.lose("a"), []);
    let offer = Action::Offer {
        stage: 1,
        partitions: vec![0],
    };
    assert_eq!(job.fail(1, 1, "b", Failure::Stopped), [offer]);
}

#[test]
fn an_input_that_nobody_reads_any_more_is_not_computed_again() {
    let mut job = Chain::new(3, true, LIMITS);
    job.start(1, 1);
    job.bind(1, "a", &[0]);
    job.succeed(1, 0, "a");
    job.start(2, 1);
    job.bind(2, "b", &[0]);
    job.succeed(2, 0, "b");
    assert_eq!(job.lose("a"), [Action::Forget { stage: 1, task: 0 }]);
}

#[test]
fn what_fails_to_be_fetched_again_is_lost_in_all_inputs() {
    let shape = |inputs: &[StageId]| StageShape {
        inputs: inputs.to_vec(),
        is_repeatable: true,
    };
    let shapes = [(1, shape(&[])), (2, shape(&[])), (3, shape(&[1, 2]))].into();
    let (lineage, actions) = Lineage::new(shapes, LIMITS).unwrap();
    let mut job = Chain { lineage, actions };
    for input in [1, 2] {
        job.start(input, 2);
        job.bind(input, "a", &[0]);
        job.bind(input, "b", &[1]);
        job.succeed(input, 0, "a");
        job.succeed(input, 1, "b");
    }
    job.start(3, 1);
    job.bind(3, "a", &[0]);
    let no_input = || Failure::NoInput {
        stage: 1,
        executor: Some("b".to_owned()),
        text: "no answer".to_owned(),
    };
    let is_lost = |action: &Action| matches!(action, Action::Forget { .. });
    let mut lost = job.fail(3, 0, "a", no_input()).to_vec();
    lost.retain(is_lost);
    assert_eq!(lost, [Action::Forget { stage: 1, task: 1 }]);
    job.start(1, 2);
    job.bind(1, "b", &[1]);
    job.succeed(1, 2, "b");
    job.start(3, 1);
    job.bind(3, "a", &[0]);
    let mut lost = job.fail(3, 1, "a", no_input()).to_vec();
    lost.retain(is_lost);
    let of_both = [
        Action::Forget { stage: 1, task: 2 },
        Action::Forget { stage: 2, task: 1 },
    ];
    assert_eq!(lost, of_both);
}

#[test]
fn a_task_that_ends_its_executors_fails_the_job() {
    let limits = Limits {
        losses: 10,
        ..LIMITS
    };
    let mut job = Chain::new(1, true, limits);
    job.start(1, 1);
    for n in 1..=limits.losses {
        let executor = format!("e{n}");
        job.bind(1, &executor, &[0]);
        job.lose(&executor);
    }
    let [Action::Offer { .. }, Action::Fail { text }] = &*job.actions else {
        panic!("{:?}", job.actions);
    };
    assert!(
        text.contains("lost its executor 10 times, last e10"),
        "{text}"
    );
}

#[test]
fn limits_end_a_job_with_the_last_reason() {
    let limits = Limits {
        task_failures: 2,
        stage_failures: 2,
        losses: 2,
    };
    let mut job = Chain::new(1, true, limits);
    job.start(1, 1);
    let failure = || Failure::Passing("no space".to_owned());
    job.bind(1, "a", &[0]);
    assert!(!matches!(
        job.fail(1, 0, "a", failure()),
        [Action::Fail { .. }]
    ));
    job.bind(1, "a", &[0]);
    let [Action::Fail { text }] = job.fail(1, 1, "a", failure()) else {
        panic!("{:?}", job.actions);
    };
    assert!(text.contains("failed 2 times"), "{text}");
    assert!(text.contains("no space"), "{text}");
    assert_eq!(job.lose("a"), []);
}

#[test]
fn shapes_without_one_end_are_refused() {
    let shape = |inputs: &[StageId]| StageShape {
        inputs: inputs.to_vec(),
        is_repeatable: true,
    };
    let new = |shapes: &[(StageId, StageShape)]| {
        Lineage::new(shapes.iter().cloned().collect(), LIMITS).unwrap_err()
    };
    assert_eq!(
        new(&[(1, shape(&[])), (2, shape(&[]))]),
        "a job ends in one stage, not in 2"
    );
    assert_eq!(
        new(&[(1, shape(&[2])), (2, shape(&[1])), (3, shape(&[2]))]),
        "its stages read each other in a circle"
    );
    assert_eq!(
        new(&[(1, shape(&[7]))]),
        "stage 1 reads stage 7, which is not there"
    );
}
