# What the images under test are built from: built programs, and stand-ins for the base images that
# cannot be pulled. The images themselves are built by the commands under test.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/emporia

prepare_images() {
    step "what the images are built from"
    export DEBIAN_IMAGE RUST_IMAGE EMPORIA_BINARIES
    DEBIAN_IMAGE=$(pulled debian:bookworm-slim) || DEBIAN_IMAGE=$(debian_stand_in)
    programs=${PROGRAMS-$(release_folder)}
    if [ -n "$programs" ]; then
        say "programs: built before, in $programs (not compiled in the image)"
        "$root/docker/import-binaries" "$programs" emporia-test-binaries
        RUST_IMAGE=$DEBIAN_IMAGE EMPORIA_BINARIES=emporia-test-binaries
    else
        say "programs: compiled in the image"
        RUST_IMAGE=$(pulled rust:1.95-bookworm) || RUST_IMAGE=$(rust_stand_in)
        EMPORIA_BINARIES=build
    fi
    if wants storage && ! pulled mongo:8 >/dev/null; then
        mongodb_stand_in
    fi
    remove_images
}

# No image of ours is left; what they were built of stays, so that building them again is fast.
remove_images() {
    local image
    docker image ls --format '{{.Repository}}:{{.Tag}}' \
        | { grep -E '^emporia-(scheduler|executor|client|hdfs|hbase|ferretdb|prometheus):(test|next)$' || true; } \
        | while read -r image; do docker image rm --force --no-prune "$image" >/dev/null; done
}

# Nobody asked a registry for an image of ours. Only a daemon of our own says what it was asked.
check_lookups() {
    local asked
    if [ -z "$daemon_pid" ]; then
        say "not checked: whether a registry was asked for our images (the daemon is not ours)"
        return 0
    fi
    asked=$(grep -oE '(fromImage=|Trying to pull )[^ "]*emporia-[^ "]*' "$work/dockerd.log" || true)
    [ -z "$asked" ] || fail "a registry was asked for an image of ours: $asked"
    say "no registry was asked for an image of ours"
}

# The image, where it is here or can be pulled.
pulled() { # IMAGE
    docker image inspect "$1" >/dev/null 2>&1 || timeout 300 docker pull --quiet "$1" >/dev/null 2>&1 || return 1
    printf '%s' "$1"
}

release_folder() {
    local folder=${CARGO_TARGET_DIR:-$root/target}/release
    [ ! -x "$folder/emporia-scheduler" ] || printf '%s' "$folder"
}

need_root() { # COMMAND
    [ "$(id -u)" = 0 ] && command -v "$1" >/dev/null \
        || fail "a base image cannot be pulled, and a stand-in for it needs root and $1"
}

# A minimal Debian of the same release. It trusts the certificate authorities that were added to this
# machine, because it is behind the same proxy.
debian_stand_in() {
    local image=emporia-test-debian:bookworm tar=$cache/debian-bookworm.tar tree
    say "debian:bookworm-slim cannot be pulled: a minimal Debian stands in for it"
    if ! docker image inspect $image >/dev/null 2>&1; then
        need_root debootstrap
        if [ ! -s "$tar" ]; then
            tree=$(mktemp -d)
            # It becomes the root folder of the images, which others than root enter.
            chmod 755 "$tree"
            debootstrap --variant=minbase bookworm "$tree" http://deb.debian.org/debian >&2 >"$work/debootstrap.log" \
                || fail "debootstrap: $(tail -n 3 "$work/debootstrap.log")"
            rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man,locale,info}/*
            mkdir -p "$tree/usr/local/share/ca-certificates" "$cache"
            find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$tree/usr/local/share/ca-certificates/" \;
            tar -C "$tree" --numeric-owner -c . >"$tar"
            rm -rf "$tree"
        fi
        docker import "$tar" $image >/dev/null
    fi
    printf '%s' $image
}

# The toolchain of this machine.
rust_stand_in() {
    local image=emporia-test-rust:1.95 context toolchain
    say "rust:1.95-bookworm cannot be pulled: the toolchain of this machine stands in for it"
    if ! docker image inspect $image >/dev/null 2>&1; then
        toolchain=$(rustc --print sysroot) || fail "there is no rustc here either"
        context=$(mktemp -d)
        cp -r "$toolchain" "$context/rust"
        printf 'FROM %s\nRUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc g++ make libc6-dev && update-ca-certificates\nCOPY rust /usr/local\nENV CARGO_HOME=/usr/local/cargo\n' \
            "$DEBIAN_IMAGE" >"$context/Dockerfile"
        docker build --tag $image "$context" >"$work/rust.log" 2>&1 || fail "see $work/rust.log"
        rm -rf "$context"
    fi
    printf '%s' $image
}

# FerretDB; a program that tests/services has built of the same patch is taken.
mongodb_stand_in() {
    local program patch=$root/tests/services/ferretdb.patch
    say "mongo:8 cannot be pulled: FerretDB stands in for it"
    program=$cache/services/ferretdb-v1.24.2-$(sha256sum "$patch" | cut -c1-16)
    if [ -x "$program" ]; then
        tar -C "$cache/services" --transform 's/.*/ferretdb/' -c "$(basename "$program")" \
            | docker import - emporia-test-ferretdb-program >/dev/null
        export FERRETDB_BINARY=emporia-test-ferretdb-program
    fi
    export COMPOSE_FILE=compose.yaml:ferretdb.yaml
}

say_size() { # NAME...
    local name
    for name in "$@"; do
        say "image emporia-$name: $(megabytes "$name") MB"
    done
}

megabytes() { # NAME
    echo $(($(docker image inspect --format '{{.Size}}' "emporia-$1:test") / 1000000))
}

check_programs() {
    local name
    for name in scheduler executor client; do
        docker run --rm --read-only --cap-drop ALL "emporia-$name:test" --version >&2
        [ "$(docker image inspect --format '{{.Config.User}}' "emporia-$name:test")" = 10001:10001 ] \
            || fail "emporia-$name does not run as 10001:10001"
    done
    check_symbols
    [ "$EMPORIA_BINARIES" = build ] || return 0
    for name in scheduler executor; do
        [ "$(megabytes $name)" -lt 120 ] || fail "the image of the $name is larger than 120 MB"
    done
}

# However they were built, the programs in the images have no symbols.
check_symbols() {
    local name id
    for name in scheduler executor client; do
        id=$(docker create --pull never "emporia-$name:test")
        docker cp "$id:/usr/local/bin/." "$work/programs" >/dev/null
        docker rm "$id" >/dev/null
    done
    for name in "$work"/programs/emporia*; do
        ! readelf --section-headers --wide "$name" | grep -qE ' \.(symtab|debug_info) ' || fail "$(basename "$name") has symbols"
    done
    rm -rf "$work/programs"
}
