# A Docker daemon: the one that runs, or one of our own.

daemon_pid=

ensure_daemon() {
    docker info >/dev/null 2>&1 && return 0
    [ "$(id -u)" = 0 ] && command -v dockerd >/dev/null \
        || fail "no Docker daemon answers; start one, or run this as root with docker.io installed"
    step "starting a Docker daemon"
    # Its images are kept for the next run.
    local state=${XDG_CACHE_HOME:-$HOME/.cache}/emporia/docker
    mkdir -p "$state"
    export DOCKER_HOST=unix://$work/docker.sock
    # In detail, so that what registries are asked for is in its log.
    dockerd --debug --host "$DOCKER_HOST" --data-root "$state" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
        ${DOCKER_STORAGE_DRIVER:+--storage-driver "$DOCKER_STORAGE_DRIVER"} >"$work/dockerd.log" 2>&1 &
    daemon_pid=$!
    local end=$((SECONDS + 60))
    until docker info >/dev/null 2>&1; do
        kill -0 "$daemon_pid" 2>/dev/null && [ $SECONDS -lt $end ] \
            || fail "dockerd does not start: $(tail -n 5 "$work/dockerd.log")"
        sleep 0.5
    done
    say "docker $(docker version --format '{{.Server.Version}}'), storage $(docker info --format '{{.Driver}}')"
}

stop_daemon() {
    [ -n "$daemon_pid" ] || return 0
    kill "$daemon_pid"
    wait "$daemon_pid" || true
}

save_logs() {
    local id
    docker ps --all --no-trunc >"$work/containers.txt" 2>&1 || return 0
    for id in $(containers '' --all); do
        docker logs "$id" >"$work/$(docker inspect --format '{{slice .Name 1}}' "$id").log" 2>&1 || true
    done
}

remove_stack() {
    docker info >/dev/null 2>&1 || return 0
    docker rm --force "$keeper" >/dev/null 2>&1 || true
    # Containers of `compose run`, and those whose drain nobody waits for.
    docker ps --all --quiet --filter "label=com.docker.compose.project=$project" \
        | xargs --no-run-if-empty docker rm --force --volumes >/dev/null
    COMPOSE_PROFILES=$all_profiles compose down --volumes >/dev/null 2>&1 || true
}
