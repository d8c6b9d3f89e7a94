# Saving and restoring the state of the stack, and what goes wrong at it. After each fault the state of
# all volumes is compared with what it was, byte for byte.

# Names, owners, modes and checksums of all that the stack keeps, except the event log, which grows.
state() {
    docker run --rm --pull never --network none --user 0 --entrypoint sh \
        --volume "${project}_data:/v/data:ro" --volume "${project}_passwords:/v/passwords:ro" "emporia-client:test" -c \
        'cd /v && find . -exec stat -c "%n %u:%g %a" {} + && find . -type f -exec sha256sum {} +' | LC_ALL=C sort
}

# Which containers there are, since when, and how they are.
seen_containers() {
    containers '' --all | xargs docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.State.Status}}' | sort
}

# A command that must fail, with a code and a text.
refused() { # CODE TEXT COMMAND...
    local code=0 wanted=$1 text=$2
    shift 2
    "$@" >"$work/refused.log" 2>&1 || code=$?
    cat "$work/refused.log" >>"$work/commands.log"
    [ $code = "$wanted" ] || fail "\`$*\` ends with code $code, not $wanted: $(tail -n 3 "$work/refused.log")"
    says "$work/refused.log" "$text"
}

state_is() { # FILE WHEN
    state >"$work/state.found"
    cmp -s "$1" "$work/state.found" || fail "the state is another one, $2: $(diff "$1" "$work/state.found" | head -n 5)"
}

# Refused before anything was touched: the stack runs on as it did.
untouched() { # TEXT COMMAND...
    seen_containers >"$work/containers.before"
    refused 1 "$@"
    seen_containers | cmp -s - "$work/containers.before" || fail "\`${*:2}\` touched the containers"
    state_is "$work/state.now" "after \`${*:2}\`"
}

# Starts a command, and kills it with all that it started when it has said something.
killed_at() { # TEXT COMMAND...
    local text=$1 log=$work/killed.log pid end=$((SECONDS + 120))
    shift
    : >"$log"
    setsid "$@" >"$log" 2>&1 &
    pid=$!
    until grep -qF -- "$text" "$log"; do
        kill -0 $pid 2>/dev/null || fail "\`$*\` ended before it said '$text': $(tail -n 3 "$log")"
        [ $SECONDS -lt $end ] || fail "\`$*\` did not say '$text'"
        sleep 0.02
    done
    kill -KILL -- -$pid
    wait $pid 2>/dev/null || true
    # What it had started is gone a little later, and lets go of the lock.
    for _ in {1..50}; do
        ! flock --nonblock "$root/docker/stack.sh" true || break
        sleep 0.1
    done
    say "killed at '$text'"
}

healthy_again() { # WHEN
    # shellcheck disable=SC2046
    wait_healthy 60 $(containers '' --all)
    state_is "$work/state.now" "$1"
}

result_rows() { # FILE
    start_core
    client sql --format csv --execute "$(all_of /data/results/top)" >"$1" || fail "the result cannot be read"
    end_client
}

# A copy of the backup, to be damaged.
copy() { # NAME
    rm -rf "$work/${1:?}"
    cp -r "$work/backup" "$work/$1"
    echo "$work/$1"
}

part_backup() {
    step "what was saved comes back"
    start_core
    client submit top_products --output /data/results/top
    end_client
    result_rows "$work/before.csv"
    state >"$work/state.saved"
    refused 2 "usage: backup FOLDER" "$root/docker/backup"
    refused 2 "usage: restore FOLDER" "$root/docker/restore"
    timed "saved" "$root/docker/backup" "$work/backup"
    [ -z "$(find "$work/backup" -type f -perm /077)" ] || fail "others can read the backup"
    cp "$work/state.saved" "$work/state.now"
    healthy_again "after a backup"

    # Another state than the saved one, which must not get lost either.
    start_core
    client submit sales_by_month --output /data/results/later
    refused 1 "uses the data; end it first" "$root/docker/backup" "$work/other"
    refused 1 "uses the data; end it first" "$root/docker/restore" "$work/backup"
    end_client
    state >"$work/state.now"

    bad_backups
    bad_folders
    full_disks
    killed_in_the_middle
    sick_state

    timed "restored" "$root/docker/restore" "$work/backup"
    state_is "$work/state.saved" "after the restore"
    result_rows "$work/after.csv"
    same_rows "$work/before.csv" "$work/after.csv" || fail "the rows differ after the restore"

    step "a machine without a state"
    "$root/docker/down" --volumes >>"$work/commands.log" 2>&1
    timed "restored" "$root/docker/restore" "$work/backup"
    state_is "$work/state.saved" "after the restore on an empty machine"
    result_rows "$work/after.csv"
    same_rows "$work/before.csv" "$work/after.csv" || fail "the rows differ on an empty machine"
}

bad_backups() {
    step "backups that are not as they should be"
    local folder
    folder=$(copy truncated)
    truncate --size=-1000 "$folder/data.tar.gz"
    untouched "bytes, not" "$root/docker/restore" "$folder"
    folder=$(copy changed)
    printf x | dd of="$folder/data.tar.gz" bs=1 seek=1000 conv=notrunc status=none
    untouched "is damaged" "$root/docker/restore" "$folder"
    folder=$(copy missing)
    rm "$folder/passwords.tar.gz"
    untouched "passwords.tar.gz is missing" "$root/docker/restore" "$folder"
    folder=$(copy shortened)
    sed -i '/^archive passwords/d' "$folder/backup.txt"
    untouched "is not complete" "$root/docker/restore" "$folder"
    folder=$(copy format)
    sed -i 's/^emporia-backup .*/emporia-backup 2/' "$folder/backup.txt"
    untouched "has the format 2" "$root/docker/restore" "$folder"
    folder=$(copy newer)
    sed -i 's/^version .*/version 99.0.0/' "$folder/backup.txt"
    untouched "is of Emporia 99.0.0" "$root/docker/restore" "$folder"
    folder=$(copy foreign)
    sed -i 's/^archive events/archive other/' "$folder/backup.txt"
    mv "$folder/events.tar.gz" "$folder/other.tar.gz"
    untouched "a volume other that compose.yaml does not know" "$root/docker/restore" "$folder"
    folder=$(copy unlisted)
    rm "$folder/backup.txt"
    untouched "holds no complete backup" "$root/docker/restore" "$folder"
    truncate --size=-1000 "$folder/data.tar.gz"
    untouched "is damaged" "$root/docker/restore" --unlisted "$folder"
    say "each was refused, and nothing was touched"

    # Those of older versions are taken.
    folder=$(copy older)
    sed -i 's/^version .*/version 0.0.1/' "$folder/backup.txt"
    restored_and_back "$folder" "$folder"
    says "$work/restored.log" "the backup is of Emporia 0.0.1"
    folder=$(copy unlisted)
    rm "$folder/backup.txt"
    restored_and_back "--unlisted $folder" "$folder"
    say "backups of an older version were restored"
}

# Restores it, and then the state of before again.
restored_and_back() { # ARGS WHEN
    rm -rf "$work/now"
    "$root/docker/backup" "$work/now" >>"$work/commands.log" 2>&1 || fail "the backup fails, $2"
    # shellcheck disable=SC2086
    "$root/docker/restore" $1 >"$work/restored.log" 2>&1 || fail "the restore fails: $(tail -n 3 "$work/restored.log")"
    state_is "$work/state.saved" "after $2"
    "$root/docker/restore" "$work/now" >>"$work/commands.log" 2>&1 || fail "the restore fails, after $2"
    healthy_again "after $2 and back"
}

bad_folders() {
    step "folders that are not those of a backup"
    mkdir -p "$work/empty" "$work/letters"
    echo "dear reader" >"$work/letters/letter.txt"
    untouched "there is no folder" "$root/docker/restore" "$work/nowhere"
    untouched "holds no complete backup" "$root/docker/restore" "$work/empty"
    untouched "holds no complete backup" "$root/docker/restore" "$work/letters"
    untouched "holds other files" "$root/docker/backup" "$work/letters"
    untouched "holds a backup" "$root/docker/backup" "$work/backup"
    [ "$(cat "$work/letters/letter.txt")" = "dear reader" ] || fail "a file of somebody else was touched"
    say "each was refused, and nothing was touched"
}

small_events=
unmount_small() {
    local folder
    for folder in "$work/small" "$small_events"; do
        [ -z "$folder" ] || ! mountpoint --quiet "$folder" || umount "$folder"
    done
}

full_disks() {
    step "full disks"
    if [ "$(id -u)" != 0 ]; then
        say "not checked: that needs root, for small file systems"
        return 0
    fi
    mkdir "$work/small"
    mount -t tmpfs -o size=200k tmpfs "$work/small"
    refused 1 "nothing was saved; the stack is started again" "$root/docker/backup" "$work/small/backup"
    [ -z "$(find "$work/small" -type f)" ] || fail "a failed backup left files"
    unmount_small
    healthy_again "after a backup to a full disk"
    say "a backup to a full disk saved nothing and left nothing"

    # The volume of the event log becomes too small for what is restored into it.
    local folder size sum events
    events=$(docker volume inspect --format '{{.Mountpoint}}' "${project}_events")
    if [ ! -d "$events" ]; then
        say "not checked: a restore to a full disk (the daemon is on another machine)"
        return 0
    fi
    folder=$(copy large)
    mkdir "$work/events"
    head -c 30000000 /dev/urandom >"$work/events/event"
    tar -C "$work/events" -c . | gzip -1 >"$folder/events.tar.gz"
    size=$(wc -c <"$folder/events.tar.gz") sum=$(sha256sum <"$folder/events.tar.gz" | cut -d' ' -f1)
    sed -i "s/^archive events .*/archive events $size $sum/" "$folder/backup.txt"
    "$root/docker/down" >>"$work/commands.log" 2>&1
    mount -t tmpfs -o size=10m,mode=755,uid=10001,gid=10001 tmpfs "$events"
    small_events=$events
    "$root/docker/up" >>"$work/commands.log" 2>&1 || fail "core does not start"
    untouched "cannot unpack events" "$root/docker/restore" "$folder"
    [ ! -e "$events/.restore" ] || fail "a failed restore left files"
    "$root/docker/down" >>"$work/commands.log" 2>&1
    unmount_small
    "$root/docker/up" >>"$work/commands.log" 2>&1 || fail "core does not start"
    healthy_again "after a restore to a full disk"
    say "a restore to a full disk changed nothing"
}

killed_in_the_middle() {
    step "killed in the middle"
    killed_at "data.tar.gz" "$root/docker/backup" "$work/half"
    untouched_state "after a killed backup"
    refused 1 "holds no complete backup" "$root/docker/restore" "$work/half"
    "$root/docker/up" >>"$work/commands.log" 2>&1 || fail "core does not start"
    healthy_again "after a killed backup"
    "$root/docker/backup" "$work/half" >>"$work/commands.log" 2>&1 || fail "the backup cannot be repeated"
    [ -e "$work/half/backup.txt" ] || fail "there is no list"
    say "a killed backup can be repeated"

    killed_at "unpacked data" "$root/docker/restore" "$work/backup"
    refused 1 "docker/restore --undo brings the old state back" "$root/docker/backup" "$work/other"
    refused 1 "docker/restore --undo brings the old one back" "$root/docker/restore" --keep
    "$root/docker/restore" --undo >>"$work/commands.log" 2>&1 || fail "it cannot be undone"
    "$root/docker/up" >>"$work/commands.log" 2>&1 || fail "core does not start"
    healthy_again "after a restore was killed while it unpacked"

    killed_at "starting the restored state" "$root/docker/restore" "$work/backup"
    refused 1 "docker/restore --keep keeps" "$root/docker/restore" "$work/backup"
    "$root/docker/down" >>"$work/commands.log" 2>&1
    refused 1 "a restore was not finished" "$root/docker/up"
    "$root/docker/restore" --undo >>"$work/commands.log" 2>&1 || fail "it cannot be undone"
    refused 1 "no restore is unfinished" "$root/docker/restore" --undo
    "$root/docker/up" >>"$work/commands.log" 2>&1 || fail "core does not start"
    healthy_again "after a restore was killed while the stack started"

    rm -rf "$work/now"
    "$root/docker/backup" "$work/now" >>"$work/commands.log" 2>&1 || fail "the backup fails"
    killed_at "starting the restored state" "$root/docker/restore" "$work/backup"
    "$root/docker/restore" --keep >>"$work/commands.log" 2>&1 || fail "the restored state cannot be kept"
    state_is "$work/state.saved" "after a killed restore whose state is kept"
    "$root/docker/up" >>"$work/commands.log" 2>&1 || fail "core does not start"
    "$root/docker/restore" "$work/now" >>"$work/commands.log" 2>&1 || fail "the restore fails"
    healthy_again "after all of that"
    say "a killed restore can be undone and kept"
}

untouched_state() { state_is "$work/state.now" "$1"; } # WHEN

sick_state() {
    step "a restored state that does not get healthy"
    refused 1 "the old state is brought back" env UP_TIMEOUT=0 "$root/docker/restore" "$work/backup"
    healthy_again "after a restore that took too long"

    # Data in which nobody can make a shop.
    local folder size sum
    folder=$(copy sick)
    mkdir "$work/nothing"
    tar -C "$work/nothing" --owner=0 --group=0 --mode=755 -c . | gzip >"$folder/data.tar.gz"
    size=$(wc -c <"$folder/data.tar.gz") sum=$(sha256sum <"$folder/data.tar.gz" | cut -d' ' -f1)
    sed -i "s/^archive data .*/archive data $size $sum/" "$folder/backup.txt"
    "$root/docker/down" >>"$work/commands.log" 2>&1
    refused 1 "the old state is brought back" "$root/docker/restore" "$folder"
    state_is "$work/state.now" "after a restore of a sick state"
    "$root/docker/up" >>"$work/commands.log" 2>&1 || fail "core does not start"
    healthy_again "after a restore of a sick state"
    say "the old state was brought back"
}
