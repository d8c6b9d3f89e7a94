//! Unit tests of `args`.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Command, ErrorKind> {
    Cli::try_parse_from(line.split_whitespace())
        .map(|cli| cli.command)
        .map_err(|e| e.kind())
}

fn display() -> DisplayArgs {
    DisplayArgs {
        max_rows: DEFAULT_MAX_ROWS,
        ..DisplayArgs::default()
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn submit_takes_parameters_and_an_output() {
    let line = "emporia submit clv -p period=month -p note=a=b --output ./out --format csv";
    let expected = SubmitArgs {
        job: "clv".into(),
        params: vec![
            ("period".into(), "month".into()),
            ("note".into(), "a=b".into()),
        ],
        output: Some("./out".into()),
        all_outputs: false,
        display: DisplayArgs {
            format: Some(Format::Csv),
            ..display()
        },
    };
    assert_eq!(parse(line), Ok(Command::Submit(expected)));
    assert_eq!(
        parse("emporia submit clv -p period"),
        Err(ErrorKind::ValueValidation)
    );
    let both = parse("emporia submit clv --all-outputs -o ./x");
    assert_eq!(both, Err(ErrorKind::ArgumentConflict));
    assert_eq!(
        parse("emporia submit"),
        Err(ErrorKind::MissingRequiredArgument)
    );
}

#[test]
fn settings_are_checked_where_they_are_given() {
    let settings = |line: &str| {
        let cli = Cli::try_parse_from(line.split_whitespace()).map_err(|e| e.kind())?;
        let given = cli.global.settings().into_iter();
        Ok(given
            .filter_map(|(key, value)| Some((key, value?.clone())))
            .collect::<Vec<_>>())
    };
    let line = "emporia --cluster http://host:50050 jobs --timeout 30s --aqe";
    let expected = vec![
        ("client.cluster", "http://host:50050".to_owned()),
        ("client.timeout", "30s".to_owned()),
        ("client.aqe", "true".to_owned()),
    ];
    assert_eq!(settings(line), Ok(expected));
    for bad in [
        "--cluster local[0]",
        "--timeout soon",
        "--batch-size 0",
        "--log-level loud",
    ] {
        let line = format!("emporia jobs {bad}");
        assert_eq!(settings(&line), Err(ErrorKind::ValueValidation), "{bad}");
    }
}

#[test]
fn sql_comes_from_one_place() {
    let expected = SqlArgs {
        execute: vec!["SELECT".into(), "SHOW".into()],
        file: None,
        display: display(),
    };
    assert_eq!(
        parse("emporia sql -e SELECT -e SHOW"),
        Ok(Command::Sql(expected))
    );
    assert_eq!(
        parse("emporia sql -e x -f y.sql"),
        Err(ErrorKind::ArgumentConflict)
    );
}

#[test]
fn cluster_has_defaults() {
    let state = StateDir {
        state_dir: "./.emporia/cluster".into(),
    };
    let up = ClusterCommand::Up {
        executors: 2,
        slots: 2,
        port: 50050,
        state: state.clone(),
    };
    assert_eq!(parse("emporia cluster up"), Ok(Command::Cluster(up)));
    let deadline = Duration::from_millis(1500);
    let down = ClusterCommand::Down { deadline, state };
    assert_eq!(
        parse("emporia cluster down --deadline 1500ms"),
        Ok(Command::Cluster(down))
    );
    let none = parse("emporia cluster up --executors 0");
    assert_eq!(none, Err(ErrorKind::ValueValidation));
}

#[test]
fn data_commands_need_a_place() {
    assert_eq!(
        parse("emporia generate"),
        Err(ErrorKind::MissingRequiredArgument)
    );
    assert_eq!(
        parse("emporia generate --out x --scale 0"),
        Err(ErrorKind::ValueValidation)
    );
    let to = ImportTarget {
        out: "data".into(),
        overwrite: false,
        max_rejects: MaxRejects::default(),
    };
    let expected = ImportCommand::Cdnow {
        file: "master.txt".into(),
        to,
    };
    let line = "emporia import cdnow master.txt --out data";
    assert_eq!(parse(line), Ok(Command::Import(expected)));
}

#[test]
fn explain_needs_a_subject() {
    assert_eq!(
        parse("emporia explain"),
        Err(ErrorKind::MissingRequiredArgument)
    );
    let expected = ExplainArgs {
        query: Some("clv".into()),
        execute: Vec::new(),
        file: None,
        analyze: true,
        params: Vec::new(),
    };
    assert_eq!(
        parse("emporia explain --analyze clv"),
        Ok(Command::Explain(expected))
    );
    let expected = ExplainArgs {
        query: None,
        execute: vec!["SELECT".into()],
        file: None,
        analyze: false,
        params: Vec::new(),
    };
    assert_eq!(
        parse("emporia explain -e SELECT"),
        Ok(Command::Explain(expected))
    );
    assert_eq!(
        parse("emporia explain -e SELECT clv"),
        Err(ErrorKind::ArgumentConflict)
    );
}

#[test]
fn lists_are_text() {
    for command in ["jobs", "tables", "cluster status", "config show"] {
        let line = |format: &str| format!("emporia {command} --format {format}");
        for format in ["table", "csv", "tsv", "json", "ndjson"] {
            assert!(parse(&line(format)).is_ok(), "{command} {format}");
        }
        assert_eq!(
            parse(&line("parquet")),
            Err(ErrorKind::InvalidValue),
            "{command}"
        );
    }
    assert_eq!(
        parse("emporia jobs clv --format csv"),
        Err(ErrorKind::ArgumentConflict)
    );
}
