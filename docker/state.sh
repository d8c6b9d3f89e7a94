# What `backup` and `restore` share: the list of a backup, and a container that sees all volumes.

list_name=backup.txt
list_format=1
client_image=emporia-client:$(setting EMPORIA_TAG dev)

need_client_image() {
    if ! has_image "$client_image"; then
        check_own_images
        COMPOSE_PROFILES=client compose build client
    fi
}

client_version() {
    docker run --rm --pull never --network none "$client_image" --version | awk 'NR == 1 { print $NF }'
}

# The names of the volumes, without that of the project.
volume_names() {
    docker volume ls --quiet --filter "label=com.docker.compose.project=$project" \
        --filter label=com.docker.compose.volume | sed "s/^${project}_//"
}

# Containers that are no part of the stack would read and write while it is stopped.
refuse_other_users() { # NAME...
    local name id stack
    stack=$(containers ''; docker ps --quiet --no-trunc --filter "name=^$keeper\$")
    for name in "$@"; do
        for id in $(docker ps --quiet --no-trunc --filter "volume=${project}_$name"); do
            grep -qxF "$id" <<<"$stack" \
                || fail "$(docker inspect --format '{{slice .Name 1}}' "$id") uses the data; end it first (docker stop)"
        done
    done
}

open_volumes() { # NAME...
    local name volumes=()
    for name in "$@"; do
        volumes+=(--volume "${project}_$name:/v/$name")
    done
    docker rm --force "$keeper" >/dev/null 2>&1 || true
    docker run --detach --pull never --name "$keeper" --user 0 --network none --entrypoint sleep \
        "${volumes[@]}" "$client_image" infinity >/dev/null
}

close_volumes() { docker rm --force "$keeper" >/dev/null 2>&1 || true; }

in_volumes() { # COMMAND OF volumes.sh...
    docker exec --interactive "$keeper" sh -c "$(cat "$here/volumes.sh")" volumes.sh "$@"
}

# What to do about a restore that was killed.
refuse_unfinished() {
    case $(in_volumes status </dev/null) in
        none) ;;
        switched) fail "a restore was not finished: docker/restore --undo brings the old state back, docker/restore --keep keeps the restored one" ;;
        kept) fail "a restore was not finished: docker/restore --keep finishes it" ;;
        *) fail "a restore was not finished: docker/restore --undo brings the old state back" ;;
    esac
}

# Oldest first: servers were created before those that need them.
start_containers() { # CONTAINER...
    [ $# -eq 0 ] || docker inspect --format '{{.Created}} {{.Id}}' "$@" | sort | cut -d' ' -f2 | xargs docker start >/dev/null
}

checksum() { # FILE
    if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d' ' -f1
}

size() { wc -c <"$1" | tr -d ' '; } # FILE
