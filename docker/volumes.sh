# Runs in a container that has each volume as /v/NAME (VOLUMES/NAME in tests), and replaces what is in
# them by a restored state:
#
#   prepare         makes room for the restored state beside the old one
#   stage NAME      unpacks an archive from standard input there
#   switch          exchanges old and restored state, in all volumes
#   undo            brings the old state back, whatever has happened before `keep`
#   keep            deletes the old state
#   status          none, staged, mixed (a switch was interrupted), switched or kept (deletion was)
#
# Each volume has, while a restore is under way, the folder .restore with `new`, `old`, and `moved` when
# all of the old state is in `old`. A switch only renames, so it needs neither time nor room. Any step
# may be cut off: `undo` and `keep` can be repeated until they have ended.
set -eu

root=${VOLUMES:-/v}
# It is made first and removed last, so it says whether a restore is under way.
main=$root/data/.restore

entries() { # FOLDER COMMAND...: on everything in it
    entries_of=$1
    shift
    find "$entries_of" -mindepth 1 -maxdepth 1 ! -name .restore -exec "$@" {} +
}

same_owner() { # MODEL FOLDER
    chown --reference="$1" "$2"
    chmod --reference="$1" "$2"
}

# The volumes, that with the main folder at the end.
volumes() {
    for volume in "$root"/*; do
        [ "$volume" = "$root/data" ] || echo "$volume"
    done
    echo "$root/data"
}

status() {
    if [ ! -e "$main" ]; then
        echo none
    elif [ -e "$main/kept" ]; then
        echo kept
    elif [ -e "$main/switched" ]; then
        echo switched
    elif [ -e "$main/switching" ]; then
        echo mixed
    else
        echo staged
    fi
}

prepare() {
    mkdir "$main"
    for volume in $(volumes); do
        mkdir -p "$volume/.restore/new"
        same_owner "$volume" "$volume/.restore/new"
    done
}

switch() {
    sync
    touch "$main/switching"
    for volume in $(volumes); do
        room=$volume/.restore
        mkdir "$room/old.new"
        same_owner "$volume" "$room/old.new"
        mv "$room/old.new" "$room/old"
        entries "$volume" mv -t "$room/old"
        touch "$room/moved"
        entries "$room/new" mv -t "$volume"
        same_owner "$room/new" "$volume"
    done
    touch "$main/switched"
    rm "$main/switching"
    sync
}

undo() {
    if [ -e "$main" ]; then
        touch "$main/switching"
        rm -f "$main/switched"
    fi
    for volume in $(volumes); do
        room=$volume/.restore
        if [ -e "$room/old" ]; then
            # What is in the volume is old unless all of that was moved away.
            if [ -e "$room/moved" ]; then
                entries "$volume" mv -t "$room/new"
                rm "$room/moved"
            fi
            entries "$room/old" mv -t "$volume"
            same_owner "$room/old" "$volume"
        fi
        sync
        rm -rf "$room"
    done
}

keep() {
    touch "$main/kept"
    for volume in $(volumes); do
        rm -rf "$volume/.restore"
    done
}

case $1 in
    stage) tar -C "$root/$2/.restore/new" --numeric-owner -x ;;
    prepare | switch | undo | keep | status) "$1" ;;
    *) exit 2 ;;
esac
