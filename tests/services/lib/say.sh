# shellcheck shell=bash
# Messages: progress goes to standard error, answers to standard output.

say() { printf '%s\n' "$*" >&2; }

now() { echo "${EPOCHREALTIME::-7}${EPOCHREALTIME: -6:3}"; } # in milliseconds

fail() {
    say "error: $*"
    exit 1
}
