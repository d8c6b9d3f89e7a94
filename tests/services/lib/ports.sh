# shellcheck shell=bash disable=SC2154
# Ports: one free block for each instance, chosen once, so that a restarted server finds its own again.
# The blocks lie below 20000, where Emporia starts to look for ports: a server that starts late finds its port free.

port_names=(
    namenode namenode_http
    datanode_1 datanode_1_http datanode_1_ipc
    datanode_2 datanode_2_http datanode_2_ipc
    zookeeper hmaster region_1 region_2 region_3
    thrift_1 thrift_2 thrift_admin admin ferretdb ferretdb_auth
    kdc secure_namenode secure_namenode_http
    secure_datanode secure_datanode_http secure_datanode_ipc
    mongo_java
)
port_block=${#port_names[@]}
first_port=12000
end_port=20000

choose_ports() {
    (
        flock 9
        local base name i=0
        base=$(free_block)
        mkdir -p "$cache/ports"
        echo "$dir" >"$cache/ports/$base"
        for name in "${port_names[@]}"; do
            echo "port_$name=$((base + i++))"
        done >"$dir/ports"
    ) 9>"$cache/ports.lock"
}

load_ports() {
    # shellcheck disable=SC1091
    . "$dir/ports"
}

free_block() {
    local listening base port try
    listening=$({ cat /proc/net/tcp /proc/net/tcp6 2>/dev/null || true; } | awk '$4 == "0A" { sub(/.*:/, "", $2); print $2 }')
    for try in {1..200}; do
        base=$((first_port + RANDOM % ((end_port - first_port) / port_block) * port_block))
        if [ -f "$cache/ports/$base" ]; then
            [ -d "$(cat "$cache/ports/$base")/run" ] && continue
        fi
        for ((port = base; port < base + port_block; port++)); do
            case $listening in *"$(printf '%04X' "$port")"*) continue 2 ;; esac
        done
        echo "$base"
        return
    done
    fail "no $port_block free ports in a row after $try tries"
}
