# shellcheck shell=bash disable=SC2154
# Starting, signalling and watching the processes of an instance.
#
# run/NAME.pid holds "PID START": with the start time of the process a PID that was given to another is not taken for ours.

pid_of() { # NAME: prints the PID where the process lives, stopped ones included
    local pid start
    [ -s "$dir/run/$1.pid" ] || return 1
    read -r pid start <"$dir/run/$1.pid"
    [ -n "$start" ] && [ "$(start_time "$pid")" = "$start" ] && echo "$pid"
}

state_of() { # NAME: running, paused or down
    local pid
    pid=$(pid_of "$1") || { echo down; return; }
    case $(process_stat "$pid" 3) in T | t) echo paused ;; *) echo running ;; esac
}

start_time() { # PID: nothing where it is gone or a zombie
    case $(process_stat "$1" 3) in Z | X | '') ;; *) process_stat "$1" 22 ;; esac
}

process_stat() { # PID FIELD, as numbered in proc(5)
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    # The second field is the name in parentheses and may hold spaces.
    read -ra stat <<<"${stat##*) }"
    echo "${stat[$2 - 3]}"
}

# Starts a program before the builds and tests that load the machine, where we may: a server that gets no CPU
# for the length of its ZooKeeper session is taken for dead. Linux weighs whole login sessions first (autogroup).
preferred='{ renice -n -15 -p $$; echo -15 >/proc/self/autogroup; } >/dev/null 2>&1; exec "$@"'

launch() { # NAME COMMAND...
    local name=$1 pid
    shift
    [ "$(state_of "$name")" = down ] || fail "$name already runs"
    now >"$dir/run/$name.launched"
    printf '\n--- started %(%F %T)T\n' -1 >>"$dir/logs/$name.log"
    (cd "$dir/data" && MALLOC_ARENA_MAX=2 exec setsid bash -c "$preferred" _ "$@" </dev/null >>"$dir/logs/$name.log" 2>&1) &
    pid=$!
    echo "$pid $(start_time "$pid")" >"$dir/run/$name.pid"
}

signal() { # NAME SIGNAL
    local pid
    pid=$(pid_of "$1") || fail "$1 does not run"
    kill "$2" "$pid"
    case $2 in -KILL | -SIGKILL | -9) wait_gone 10 "$1" ;; esac
}

wait_gone() { # SECONDS NAME...: fails where one still lives
    local end=$((SECONDS + $1)) name
    shift
    for name in "$@"; do
        while pid_of "$name" >/dev/null; do
            [ $SECONDS -lt $end ] || return 1
            sleep 0.1
        done
    done
}

stop_all() {
    local name pid
    for name in "$@"; do
        pid=$(pid_of "$name") || continue
        kill -TERM "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true
    done
    wait_gone 5 "$@" && return 0
    for name in "$@"; do
        pid=$(pid_of "$name") || continue
        kill -KILL "$pid" 2>/dev/null || true
    done
    wait_gone 10 "$@" || fail "some processes do not end"
}
