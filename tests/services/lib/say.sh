# shellcheck shell=bash
# Messages: progress goes to standard error, answers to standard output.

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}
