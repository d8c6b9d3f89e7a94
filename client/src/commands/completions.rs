//! `emporia completions`: what a shell may offer, made from the definition of the flags.

use std::fmt::Write as _;
use std::io::Write as _;

use clap::{Command, CommandFactory};
use emporia_core::error::{Error, ErrorKind, Result};

use crate::args::{Cli, Shell};
use crate::output::Stdout;

/// Runs the command.
pub(super) fn run(shell: Shell) -> Result<()> {
    let mut stdout = Stdout::new();
    stdout
        .write_all(script(shell).as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|e| Error::new(ErrorKind::Failed, "cannot print the script").with_source(e))
}

fn script(shell: Shell) -> String {
    let mut command = Cli::command();
    command.build();
    let mut words = Vec::new();
    collect(&command, "emporia", &mut words);
    match shell {
        Shell::Bash => bash(&words),
        // The completion of zsh understands that of bash.
        Shell::Zsh => format!(
            "autoload -U +X bashcompinit && bashcompinit\n{}",
            bash(&words)
        ),
        Shell::Fish => fish(&command),
    }
}

/// The words that may follow each (sub)command.
fn collect(command: &Command, path: &str, words: &mut Vec<(String, String)>) {
    let subcommands = command.get_subcommands().map(|c| c.get_name().to_owned());
    let flags = command
        .get_arguments()
        .filter_map(|arg| Some(format!("--{}", arg.get_long()?)));
    let choices = command
        .get_arguments()
        .filter(|arg| arg.is_positional())
        .flat_map(|arg| arg.get_possible_values())
        .map(|value| value.get_name().to_owned());
    let all: Vec<_> = subcommands.chain(choices).chain(flags).collect();
    words.push((path.to_owned(), all.join(" ")));
    for subcommand in command.get_subcommands() {
        collect(
            subcommand,
            &format!("{path} {}", subcommand.get_name()),
            words,
        );
    }
}

fn bash(words: &[(String, String)]) -> String {
    let mut text = String::from(
        "_emporia() {\n    local path=emporia word words\n    \
         for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n        case \"$path $word\" in\n",
    );
    for (path, _) in words.iter().filter(|(path, _)| path.contains(' ')) {
        let _ = writeln!(text, "            '{path}') path='{path}' ;;");
    }
    text.push_str("        esac\n    done\n    case \"$path\" in\n");
    for (path, words) in words {
        let _ = writeln!(text, "        '{path}') words='{words}' ;;");
    }
    text.push_str(
        "    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n\
         complete -o default -F _emporia emporia\n",
    );
    text
}

fn fish(command: &Command) -> String {
    let mut text = String::new();
    for subcommand in command.get_subcommands() {
        let name = subcommand.get_name();
        let about = subcommand
            .get_about()
            .map(|a| a.to_string())
            .unwrap_or_default();
        let about = about.replace('\'', "\\'");
        let _ = writeln!(
            text,
            "complete -c emporia -n __fish_use_subcommand -a {name} -d '{about}'"
        );
        let within = format!("__fish_seen_subcommand_from {name}");
        for nested in subcommand.get_subcommands() {
            let _ = writeln!(
                text,
                "complete -c emporia -n '{within}' -a {}",
                nested.get_name()
            );
        }
        for flag in subcommand.get_arguments().filter_map(|arg| arg.get_long()) {
            let _ = writeln!(text, "complete -c emporia -n '{within}' -l {flag}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_flag_is_offered() {
        for shell in [Shell::Bash, Shell::Zsh] {
            let text = script(shell);
            for expected in [
                "'emporia cluster up'",
                "--all-outputs",
                "online-retail",
                "bash zsh fish",
            ] {
                assert!(text.contains(expected), "{expected}");
            }
        }
        let text = script(Shell::Fish);
        assert!(
            text.contains("-a submit") && text.contains("-l max-rows"),
            "{text}"
        );
    }
}
