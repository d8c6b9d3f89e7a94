# What the scripts of this folder share: where the stack is and how Compose is called.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=${COMPOSE_PROJECT_NAME:-$(sed -n 's/^COMPOSE_PROJECT_NAME=//p' "$here/.env")}
all_profiles=core,client,storage,monitoring
# Longer than the drain of emporia.toml; the stop_grace_period of compose.yaml.
grace_seconds=75

fail() {
    echo "error: $*" >&2
    exit 1
}

# `docker compose`, or docker-compose where that is what is installed.
compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose --project-directory "$here" -f "$here/compose.yaml" "$@"
    else
        docker-compose --project-directory "$here" -f "$here/compose.yaml" "$@"
    fi
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
                exited/*) fail "${name#/} ended with code $code; see: docker logs ${name#/}" ;;
            esac
            [ $SECONDS -lt $end ] || fail "${name#/} is not healthy in time; see: docker logs ${name#/}"
            sleep 0.5
        done
    done
}
