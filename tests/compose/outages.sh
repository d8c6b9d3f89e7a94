# What docs/operations.md says happens when something is missing.

# What the client says must name the reason.
says() { # FILE TEXT
    grep -qF -- "$2" "$1" || fail "the client does not say '$2' but: $(cat "$1")"
}

# A query that was started with `heavy_start` must fail, with this code.
heavy_fails() { # CODE
    local code=0
    wait $heavy_pid || code=$?
    [ "$code" = "$1" ] || fail "the query ends with code $code, not $1: $(cat "$work/heavy.found.csv.err")"
}

part_outages() {
    start_core
    check_heavy
    scheduler_restarts
    all_executors_die
    work_disk_fills
}

scheduler_restarts() {
    step "the scheduler is killed while a query runs"
    local scheduler start
    scheduler=$(containers scheduler)
    heavy_start
    start=$(seconds_now)
    docker kill "$scheduler" >/dev/null
    heavy_fails 4
    say "the client gave up with code 4 after $(since "$start") s: $(tail -n 1 "$work/heavy.found.csv.err")"
    docker start "$scheduler" >/dev/null
    start=$(seconds_now)
    wait_executors 2
    say "the executors are back after $(since "$start") s"
    check_heavy
}

all_executors_die() {
    step "all executors die while a query runs"
    local executors start
    executors=$(containers executor)
    heavy_start
    start=$(seconds_now)
    # shellcheck disable=SC2086
    docker kill $executors >/dev/null
    heavy_fails 1
    say "the query failed after $(since "$start") s: $(grep "^error" "$work/heavy.found.csv.err")"
    # shellcheck disable=SC2086
    docker start $executors >/dev/null
    start=$(seconds_now)
    # shellcheck disable=SC2086
    wait_healthy 60 $executors
    wait_executors 2
    check_heavy
    say "new executors take work after $(since "$start") s"
}

# The only executor has a work folder that is too small for what the query shuffles.
work_disk_fills() {
    step "the disk of the work folder fills"
    local executors small
    executors=$(containers executor)
    # shellcheck disable=SC2086
    docker stop -t $grace_seconds $executors >/dev/null
    small=$(docker run --detach --label "com.docker.compose.project=$project" \
        --network "${project}_default" --network-alias executor --read-only --cap-drop ALL --memory 1g \
        --tmpfs /tmp --tmpfs /work:size=2m,uid=10001,gid=10001 --env EMPORIA_CONFIG=/etc/emporia/emporia.toml \
        --env EMPORIA_EXECUTOR__TASK_SLOTS=2 --volume "$root/docker/emporia.toml:/etc/emporia/emporia.toml:ro" \
        --volume "${project}_data:/data" --volume "${project}_passwords:/run/emporia:ro" \
        emporia-executor:test)
    wait_executors 1
    local code=0
    client sql --format csv --execute "SELECT * FROM events ORDER BY event_time, event_id" \
        >"$work/full.csv" 2>"$work/full.err" || code=$?
    [ "$code" = 1 ] || fail "the query ends with code $code on a full disk: $(tail -n 3 "$work/full.err")"
    says "$work/full.err" "No space left on device"
    say "the query failed with code 1: $(grep "^error" "$work/full.err")"
    [ "$(docker inspect --format '{{.State.Running}}' "$small")" = true ] || fail "the executor ended"
    client sql --format csv --execute "SELECT count(*) FROM users" >"$work/found.csv" \
        || fail "the executor takes no other work after"
    say "the executor goes on with other work"
    docker rm --force --volumes "$small" >/dev/null
    # shellcheck disable=SC2086
    docker start $executors >/dev/null
    # shellcheck disable=SC2086
    wait_healthy 60 $executors
    wait_executors 2
}

# The NameNode restarts while its only DataNode is away, so it stays in safe mode until that is back.
safe_mode() {
    step "HDFS is in safe mode"
    local namenode datanode start pid
    namenode=$(containers namenode) datanode=$(containers datanode)
    docker stop -t 30 "$datanode" >/dev/null
    docker restart -t 30 "$namenode" >/dev/null
    until docker exec "$namenode" serve dfsadmin -safemode get 2>/dev/null | grep -q 'Safe mode is ON'; do
        sleep 1
    done
    start=$(seconds_now)
    client submit top_customers --catalog /data/stores.toml --format csv >"$work/safe.csv" 2>"$work/safe.err" &
    pid=$!
    sleep 10
    kill -0 $pid 2>/dev/null || fail "the job did not wait: $(cat "$work/safe.err")"
    docker start "$datanode" >/dev/null
    wait $pid || fail "the job fails: $(cat "$work/safe.err")"
    same_rows "$work/expected/top_customers.csv" "$work/safe.csv" || fail "other rows after safe mode"
    say "a job waits until it is over: the same rows, $(since "$start") s"
    # shellcheck disable=SC2046
    wait_healthy 180 $(containers '')
}
