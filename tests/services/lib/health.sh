# shellcheck shell=bash disable=SC2154
# Whether a service does its work, and waiting for it. Without programs of their own, so that it also works on a
# machine that is busy with builds.

healthy() { # NAME
    local port web=port_${1//-/_}_http launched
    port=$(port_of "$1")
    launched=$(<"$dir/run/$1.launched")
    case $1 in
        kdc) [ -s "$dir/data/kdc/shop.keytab" ] && connect "$port" && hang_up ;;
        namenode | secure-namenode)
            bean_says "${!web}" NameNode NameNodeStatus '"State" : "active"' \
                && bean_says "${!web}" NameNode FSNamesystemState '"FSState" : "Operational"'
            ;;
        # What the NameNode says of a DataNode can be about an earlier process.
        datanode-* | secure-datanode) bean_says "${!web}" DataNode DataNodeInfo '\"NamenodeHaState\":\"active\"' ;;
        zookeeper) exchange "$port" ruok && [ "$answer" = imok ] ;;
        admin) admin ping ;;
        hmaster | region-*) admin ready "$1" "$launched" ;;
        thrift-admin) admin ping-gateway "$port" 2 ;;
        thrift-*) admin ping-gateway "$port" 1 ;;
        ferretdb* | mongo-java) connect "$port" && hang_up ;;
    esac >/dev/null 2>&1
}

# Waits for each and prints the seconds from its start to its health.
wait_healthy() { # SECONDS NAME...
    local end=$((SECONDS + $1)) name
    shift
    for name in "$@"; do
        until healthy "$name"; do
            [ "$(state_of "$name")" != down ] || fail_with_log "$name" "ended"
            [ $SECONDS -lt $end ] || fail_with_log "$name" "is not healthy in time"
            sleep 0.5
        done
        say "$(printf '%-15s up after %3d s' "$name" $((($(now) - $(<"$dir/run/$name.launched")) / 1000)))"
    done
}

fail_with_log() { # NAME WHAT
    say "--- the last lines of $dir/logs/$1.log"
    tail -n 30 "$dir/logs/$1.log" >&2
    fail "$1 $2"
}

bean_says() { # PORT DAEMON BEAN TEXT
    exchange "$1" "GET /jmx?qry=Hadoop:service=$2,name=$3 HTTP/1.0"$'\r\nHost: localhost\r\n\r\n' \
        && [[ $answer == *"$4"* ]]
}

# Opens a connection to a port of this machine as `socket`.
connect() { # PORT
    { exec {socket}<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null
}

hang_up() { exec {socket}>&-; }

# Sends a text to a port of this machine and sets `answer` to all that comes back.
exchange() { # PORT TEXT [SECONDS]
    local status=0
    connect "$1" || return 1
    # In a process of its own, which alone ends where the other side is gone.
    (printf '%s' "$2" >&"$socket") || status=$?
    [ $status -ne 0 ] || IFS= read -r -d '' -t "${3:-20}" answer <&"$socket" || status=$?
    hang_up
    # 1 is the end of the answer; more than 128 that the time is over.
    [ $status -le 1 ]
}

# One command of Admin.java; its output without the last line, which says whether it worked.
admin() { # COMMAND ARG...
    local text last
    printf -v text '%s\n' $# "$@"
    if ! exchange "$port_admin" "$text" "${admin_timeout:-20}"; then
        say "error: the admin service does not answer"
        return 1
    fi
    answer=${answer%$'\n'}
    last=${answer##*$'\n'}
    printf '%s' "${answer%"$last"}"
    [ "$last" = ok ] || { say "$last"; return 1; }
}
