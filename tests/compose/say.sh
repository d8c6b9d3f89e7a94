# Messages and times, on standard error.

say() { printf '%s\n' "$*" >&2; }

step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS" >&2; }

seconds_now() { date +%s.%N; }

since() { # START: seconds with one decimal
    awk -v start="$1" -v now="$(seconds_now)" 'BEGIN { printf "%.1f", now - start }'
}

# Runs a command, its output into a log, and says how long it took.
timed() { # WHAT COMMAND...
    local what=$1 start
    shift
    start=$(seconds_now)
    "$@" >>"$work/commands.log" 2>&1 || fail "$what: \`$*\` failed; $(tail -n 5 "$work/commands.log")"
    say "$what after $(since "$start") s"
}

less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; } # A B
