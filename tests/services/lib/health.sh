# shellcheck shell=bash disable=SC2154,SC2016
# Whether a service does its work, and waiting for it.

healthy() { # NAME
    local port launched
    port=$(port_of "$1")
    launched=$(cat "$dir/run/$1.launched")
    case $1 in
        namenode) name_node_says '"State" : "active"' NameNodeStatus && name_node_says '"FSState" : "Operational"' FSNamesystemState ;;
        datanode-*) name_node_says "127.0.0.1:$port" NameNodeInfo ;;
        zookeeper) [ "$(exchange "$port" 'ruok')" = imok ] ;;
        admin) admin ping ;;
        hmaster | region-*) admin ready "$1" "$launched" ;;
        thrift-admin) admin ping-gateway "$port" 2 ;;
        thrift-*) admin ping-gateway "$port" 1 ;;
        ferretdb*) exec 8<>"/dev/tcp/127.0.0.1/$port" && exec 8>&- ;;
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
        say "$(printf '%-13s up after %5.1f s' "$name" "$(elapsed "$name")")"
    done
}

elapsed() { # NAME
    awk -v now="$(date +%s%3N)" '{ print (now - $1) / 1000 }' "$dir/run/$1.launched"
}

fail_with_log() { # NAME WHAT
    say "--- the last lines of $dir/logs/$1.log"
    tail -n 30 "$dir/logs/$1.log" >&2
    fail "$1 $2"
}

name_node_says() { # TEXT BEAN
    exchange "$port_namenode_http" "GET /jmx?qry=Hadoop:service=NameNode,name=$2 HTTP/1.0"$'\r\n\r\n' | grep -q "$1"
}

# Sends a text to a port of this machine and prints the answer.
exchange() { # PORT TEXT
    timeout 20 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "%s" "$2" >&3 && cat <&3' _ "$@" 2>/dev/null
}

# One command of Admin.java; its output without the last line, which says whether it worked.
admin() { # COMMAND ARG...
    local answer last
    answer=$(timeout "${admin_timeout:-20}" bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
        shift
        printf "%s\n" $# "$@" >&3
        cat <&3' _ "$port_admin" "$@") || { say "error: the admin service does not answer"; return 1; }
    last=${answer##*$'\n'}
    answer=${answer%"$last"}
    printf '%s' "$answer"
    [ "$last" = ok ] || { say "$last"; return 1; }
}
