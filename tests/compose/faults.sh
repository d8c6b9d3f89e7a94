# Breaking the stack while it works.

# A query in the background; `heavy_join` waits for it and compares its rows.
heavy_start() {
    heavy_from=$(seconds_now)
    heavy "$work/heavy.found.csv" &
    heavy_pid=$!
    sleep 1.5
    kill -0 $heavy_pid 2>/dev/null || fail "the query is too short to be broken into; raise SHOP_SCALE"
}

heavy_join() { # WHAT
    wait $heavy_pid || fail "the query fails, $1: $(cat "$work/heavy.found.csv.err")"
    same_rows "$work/heavy.csv" "$work/heavy.found.csv" || fail "the query gives other rows, $1"
    say "$1: the same rows, $(since "$heavy_from") s"
}

# How long the query takes on the stack as it is.
heavy_time() {
    local start
    start=$(seconds_now)
    check_heavy
    since "$start"
}

one_executor() { containers executor | tail -n 1; }

part_faults() {
    start_core
    step "an executor is killed, drained and cut off while a query runs"
    check_heavy
    say "undisturbed: $(heavy_time) s"
    local executor network=${project}_default
    executor=$(one_executor)

    heavy_start
    docker kill "$executor" >/dev/null
    heavy_join "an executor killed"
    docker start "$executor" >/dev/null
    wait_healthy 60 "$executor"
    check_heavy

    heavy_start
    docker stop -t $grace_seconds "$executor" >/dev/null
    heavy_join "an executor stopped"
    docker start "$executor" >/dev/null
    wait_healthy 60 "$executor"
    check_heavy

    heavy_start
    docker network disconnect "$network" "$executor"
    heavy_join "an executor cut off"
    check_heavy
    docker network connect --alias executor "$network" "$executor"
    local start
    start=$(seconds_now)
    wait_healthy 120 "$executor"
    wait_executors 2
    say "connected again: it takes work after $(since "$start") s"
    check_heavy
    [ ! -d "$work/expected" ] || check_all_jobs "after the faults"
}

part_drain() {
    start_core
    step "an executor with running tasks gets SIGTERM"
    check_heavy
    local executor start took
    executor=$(one_executor)
    heavy_start
    start=$(seconds_now)
    docker stop -t $grace_seconds "$executor" >/dev/null
    took=$(since "$start")
    heavy_join "while it drained"
    [ "$(docker inspect --format '{{.State.ExitCode}}' "$executor")" = 0 ] || fail "the executor did not end well"
    less "$took" 60 || fail "the drain took $took s, longer than its limit of 60 s"
    say "the executor ended after $took s; its limit is 60 s"
    docker start "$executor" >/dev/null
    wait_healthy 60 "$executor"
}

part_scale() {
    start_core
    step "more executors for work that waits for slots"
    local two four try
    check_heavy
    # A quarter of a processor each, so that four do not fill this machine. Other work on it may still
    # slow one of the two down, so there are three tries.
    export EXECUTOR_CPUS=0.25
    for try in 1 2 3; do
        start_core -- --scale executor=2
        two=$(heavy_time)
        start_core -- --scale executor=4
        four=$(heavy_time)
        say "two executors: $two s; four: $four s"
        ! less "$four" "$(awk -v t="$two" 'BEGIN { print t * 0.75 }')" || break
        [ $try -lt 3 ] || [ "$(nproc)" -lt 2 ] || fail "four executors are not faster than two"
    done
    unset EXECUTOR_CPUS
    scale_down
}

# Fewer executors leave no work folders behind.
scale_down() {
    start_core
    local n
    n=$(work_folders)
    [ "$n" = 2 ] || fail "there are $n work folders of two executors"
}

# Volumes without a name, of which each executor has one; not those that others left.
work_folders() { unnamed_volumes | grep -cvxF "${other_volumes:-none}" || true; }

unnamed_volumes() { docker volume ls --quiet | grep -E '^[0-9a-f]{64}$' || true; }

# Jobs one after the other in the background; `stop_busy` fails where one of them failed.
keep_busy() {
    : >"$work/busy.log"
    touch "$work/busy"
    (
        while [ -e "$work/busy" ]; do
            heavy "$work/busy.csv" && same_rows "$work/heavy.csv" "$work/busy.csv" && echo well >>"$work/busy.log" \
                || { echo "failed: $(cat "$work/busy.csv.err")" >>"$work/busy.log"; break; }
        done
    ) &
    busy_pid=$!
}

stop_busy() {
    rm "$work/busy"
    wait $busy_pid
    ! grep -v '^well$' "$work/busy.log" >&2 || fail "a query failed meanwhile"
    say "$(wc -l <"$work/busy.log") queries meanwhile, all with the right rows"
}
