# What the scripts of this folder share: where the stack is and how Compose is called.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
all_profiles=core,client,storage,monitoring
# Longer than the drain of emporia.toml; the stop_grace_period of compose.yaml.
grace_seconds=75

fail() {
    echo "error: $*" >&2
    exit 1
}

# A variable of the environment, else of `.env`, else the default.
setting() { # NAME DEFAULT
    local value=${!1-}
    [ -n "$value" ] || value=$(sed -n "s/^$1=//p" "$here/.env")
    echo "${value:-$2}"
}

project=$(setting COMPOSE_PROJECT_NAME emporia)
# The container through which backup and restore see the volumes.
keeper=${project}_state

# `docker compose`, or docker-compose where that is what is installed.
compose() {
    if docker compose version >/dev/null 2>&1; then
        (cd "$here" && docker compose "$@")
    else
        (cd "$here" && docker-compose "$@")
    fi
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; } # IMAGE

# While the stack is saved or restored, nothing else may start or stop it.
take_lock() {
    command -v flock >/dev/null || return 0
    exec 9<"$here/stack.sh"
    flock --nonblock 9 || fail "docker/backup or docker/restore is running"
}

check_lock() {
    [ -n "${EMPORIA_RESTORING:-}" ] || (take_lock)
}

# Images that only this machine can have must be here, else a registry would be asked for their names.
check_own_images() {
    local binaries mongodb
    binaries=$(setting EMPORIA_BINARIES build)
    [ "$binaries" = build ] || has_image "$binaries" \
        || fail "there is no image $binaries with built programs; docker/import-binaries FOLDER $binaries makes it"
    mongodb=$(setting MONGODB_IMAGE mongo:8)
    [[ $mongodb != emporia-* ]] \
        || fail "MONGODB_IMAGE is $mongodb; COMPOSE_FILE=compose.yaml:ferretdb.yaml takes FerretDB, and builds it"
}

# The scheduler goes first: it refuses new queries and waits for the running ones, for which it needs
# the executors.
stop_all() {
    COMPOSE_PROFILES=$all_profiles compose stop scheduler
    COMPOSE_PROFILES=$all_profiles compose stop
}

# The containers of a service, or of all; those of `compose run` are left out.
containers() { # SERVICE|'' [ARG-OF-DOCKER-PS...]
    local service=$1
    shift
    docker ps --quiet --no-trunc --filter "label=com.docker.compose.project=$project" \
        --filter label=com.docker.compose.oneoff=False \
        ${service:+--filter "label=com.docker.compose.service=$service"} "$@"
}

# The volumes without a name, which are the work folders of executors.
work_volumes() {
    containers '' --all | xargs -r docker inspect \
        --format '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}' \
        | grep -E '^[0-9a-f]{64}$' || true
}

# Those of them that no container uses any more. Docker refuses to remove the others.
remove_unused() { # VOLUME...
    [ $# -eq 0 ] || docker volume rm "$@" >/dev/null 2>&1 || true
}

# Waits until servers are healthy and the containers that make data, which have no health, have ended
# well; fails where one never will.
wait_healthy() { # SECONDS CONTAINER...
    local end=$((SECONDS + $1)) id name status code health
    shift
    for id in "$@"; do
        while true; do
            read -r name status code health < <(docker inspect --format \
                '{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$id")
            case $status/$code/$health in
                running/0/healthy | exited/0/*) break ;;
                exited/*) fail "${name#/} ended with code $code: $(last_words "$id")" ;;
            esac
            [ $SECONDS -lt $end ] || fail "${name#/} is not healthy in time; see: docker logs ${name#/}"
            sleep 0.5
        done
    done
}

last_words() { docker logs --tail 1 "$1" 2>&1; } # CONTAINER
