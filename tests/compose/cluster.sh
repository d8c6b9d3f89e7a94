# Using the stack: jobs, their rows, its containers.

# Work for the processors only, in more tasks than there are slots: all pairs of orders of the same
# minute of some hours, with a sum that does not depend on the order of its rows. The fewer minutes, the
# more pairs.
heavy_minutes=240
heavy_query() {
    local side="(SELECT cast(extract(epoch FROM ts) AS BIGINT) AS n FROM transactions)"
    echo "SELECT count(*) AS pairs, sum(ascii(md5(concat(a.n, '-', b.n)))) AS checksum
FROM $side AS a JOIN $side AS b ON a.n / 60 % $heavy_minutes = b.n / 60 % $heavy_minutes"
}

client=

# With a container for the commands, so that each does not start one.
start_core() { # ARG-OF-UP...
    "$root/docker/up" "$@" >>"$work/commands.log" 2>&1 || fail "core does not start; $(tail -n 3 "$work/commands.log")"
    client=$(client_container)
    if [ -z "$client" ]; then
        compose run --detach --label emporia.test.client=1 --entrypoint sleep client infinity >>"$work/commands.log" 2>&1
        client=$(client_container)
        # For the jobs that run inside it as the truth: the limit is for clients of a cluster.
        docker update --memory 2g --memory-swap 2g "$client" >/dev/null
    fi
    wait_executors "$(containers executor | wc -l)"
}

# The container for the commands uses the data, so it has to go before they are saved or restored.
end_client() {
    docker ps --all --quiet --filter "label=emporia.test.client=1" | xargs --no-run-if-empty docker rm --force >/dev/null
    client=
}

# Not one of an older image, which KEEP=1 may have left.
client_container() {
    docker ps --quiet --filter "label=emporia.test.client=1" --filter "ancestor=emporia-client:$EMPORIA_TAG"
}

client() { # ARG...
    docker exec "$client" emporia --quiet "$@"
}

all_of() { # FOLDER
    echo "CREATE EXTERNAL TABLE published STORED AS PARQUET LOCATION '$1'; SELECT * FROM published"
}

# Waits until the scheduler knows that many executors.
wait_executors() { # NUMBER
    local end=$((SECONDS + 60)) n
    while true; do
        # It may not listen yet.
        n=$({ curl -sf "http://127.0.0.1:$SCHEDULER_PORT/metrics" || true; } | sed -n 's/^emporia_scheduler_executors //p')
        [ "$n" != "$1" ] || return 0
        [ $SECONDS -lt $end ] || fail "the scheduler knows ${n:-no} executors, not $1"
        sleep 0.2
    done
}

# Rows without regard to their order. Sums of floating-point numbers depend on it in their last digits.
sorted_rows() { # FILE
    awk -F, -v OFS=, '{ for (i = 1; i <= NF; i++) if ($i ~ /^-?[0-9]+\.[0-9]{9,}(e-?[0-9]+)?$/) $i = sprintf("%.9g", $i); print }' "$1" \
        | LC_ALL=C sort
}

same_rows() { # EXPECTED FOUND
    diff <(sorted_rows "$1") <(sorted_rows "$2") >>"$work/differences.txt"
}

job_names() { client jobs --format csv | tail -n +2 | cut -d, -f1; }

# What every job gives inside one process: the truth to compare with.
expect_all_jobs() {
    [ ! -d "$work/expected" ] || return 0
    mkdir "$work/expected"
    start_core
    local job
    for job in $(job_names); do
        client submit "$job" --cluster 'local[2]' --format csv >"$work/expected/$job.csv" \
            || fail "job $job fails inside the client"
        [ "$(wc -l <"$work/expected/$job.csv")" -gt 1 ] || fail "job $job has no rows"
    done
}

check_all_jobs() { # WHERE [FLAG...]
    local where=$1 job start n=0
    shift
    start=$(seconds_now)
    for job in $(job_names); do
        client submit "$job" "$@" --format csv >"$work/found.csv" || fail "job $job fails $where"
        same_rows "$work/expected/$job.csv" "$work/found.csv" \
            || fail "job $job gives other rows $where; see $work/differences.txt"
        n=$((n + 1))
    done
    say "$n jobs $where: the same rows as inside one process, $(since "$start") s"
}

# Runs the heavy query; its rows go into a file.
heavy() { # FILE [FLAG...]
    local file=$1
    shift
    client sql --format csv --broadcast-threshold 0B --target-partitions 8 "$@" --execute "$(heavy_query)" \
        >"$file" 2>"$file.err"
}

# Makes the query take some seconds on the stack, whatever the machine: long enough to be broken into.
size_heavy() {
    local start took tries
    for tries in 1 2 3 4 5; do
        start=$(seconds_now)
        heavy "$work/heavy.found.csv" || fail "the query fails: $(cat "$work/heavy.found.csv.err")"
        took=$(since "$start")
        if less 6 "$took" && less "$took" 25; then
            say "the query has the minutes of $heavy_minutes and takes $took s"
            return 0
        fi
        # Fewer than 16 would be too few for all tasks.
        heavy_minutes=$(awk -v n=$heavy_minutes -v took="$took" 'BEGIN { n = int(n * took / 10); print n < 16 ? 16 : n }')
    done
    less 4 "$took" || fail "the query takes only $took s at most; raise SHOP_SCALE"
}

# Runs the heavy query and compares its rows with those of one process.
check_heavy() {
    if [ ! -e "$work/heavy.csv" ]; then
        size_heavy
        heavy "$work/heavy.csv" --cluster 'local[2]' || fail "the query fails inside the client: $(cat "$work/heavy.csv.err")"
    fi
    heavy "$work/heavy.found.csv" || fail "the query fails: $(cat "$work/heavy.found.csv.err")"
    same_rows "$work/heavy.csv" "$work/heavy.found.csv" || fail "the query gives other rows"
}

# Every container is healthy or ended well, has a limit and no more rights than it needs.
check_containers() {
    local id mongodb=${MONGODB_IMAGE:-mongo:8}
    [ -z "${COMPOSE_FILE:-}" ] || mongodb=emporia-ferretdb:$EMPORIA_TAG
    for id in $(containers '' --all); do
        docker inspect --format '{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.HostConfig.Memory}} {{.HostConfig.ReadonlyRootfs}} {{.Config.Image}} {{range $port, $hosts := .NetworkSettings.Ports}}{{range $hosts}}{{.HostIp}} {{end}}{{end}}' "$id"
    done >"$work/containers.txt"
    awk -v mongodb="$mongodb" '
        !($2 == "running" && $4 == "healthy") && !($2 == "exited" && $3 == 0) { print "not healthy: " $0; bad = 1 }
        $5 == 0 { print "no memory limit: " $0; bad = 1 }
        $6 != "true" && $7 != mongodb { print "writable root: " $0; bad = 1 }
        { for (i = 8; i <= NF; i++) if ($i != "127.0.0.1") { print "open to others: " $0; bad = 1 } }
        END { exit bad }' "$work/containers.txt" >&2 || fail "a container is not as it should be"
    say "$(wc -l <"$work/containers.txt") containers are as they should be"
}

# What the stack may take and what it takes.
say_memory() {
    local limits used
    limits=$(containers '' | xargs docker inspect --format '{{.HostConfig.Memory}}' | awk '{ sum += $1 } END { printf "%d", sum / 1048576 }')
    used=$(containers '' | xargs docker stats --no-stream --format '{{.MemUsage}}' \
        | awk '/GiB \// { sum += $1 * 1024; next } { sum += $1 } END { printf "%d", sum }')
    say "memory: $used MiB used, limits of $limits MiB"
    [ "$limits" -le 8192 ] || fail "the limits are above 8 GiB"
}

# Every query of the dashboard and of the alerts works; those without a rate have values.
check_dashboard() {
    local query answer n=0
    while read -r query; do
        answer=$(curl -sf --get --data-urlencode "query=$query" "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query") \
            || fail "Prometheus refuses: $query"
        [[ $answer = *'"value":['* ]] || fail "Prometheus has no values for: $query"
        n=$((n + 1))
    done < <(sed -n 's/^ *"expr": "\(.*\)",*$/\1/p' "$root/docker/monitoring/grafana/dashboards/emporia.json" | sed 's/\\"/"/g')
    [ $n -gt 10 ] || fail "only $n queries in the dashboard"
    answer=$(curl -sf "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/rules")
    [[ $answer = *EmporiaNoExecutor*'"health":"ok"'* && $answer != *'"health":"err"'* ]] || fail "the alerts do not work: $answer"
    say "$n queries of the dashboard have values, and all alerts can be evaluated"
}
