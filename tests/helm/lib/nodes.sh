# Controllers, a scheduler and simulated nodes (kwok) for the API server: pods are made, placed, replaced and
# evicted as in a cluster, by the programs that do it there, but nothing runs in them.

start_nodes() {
    local manager_port scheduler_port kwok_port
    # What `helm test --logs` gets to see.
    echo "2026-01-01T00:00:00.000000000Z stdout F nothing runs in this pod" >"$work/log"
    { cat "$here/site/pods.yaml" && cat <<LOGS; } >"$work/kwok.yaml"
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata:
  name: all
spec:
  logs:
    - logsFile: $work/log
LOGS
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=kwok \
        -keyout "$work/kwok.key" -out "$work/kwok.crt" 2>/dev/null
    read -r manager_port scheduler_port kwok_port < <(free_ports 3)
    "$servers/kube-controller-manager" --kubeconfig "$KUBECONFIG" --leader-elect=false \
        --bind-address 127.0.0.1 --secure-port "$manager_port" --cert-dir "$work/certificates" \
        --service-account-private-key-file "$work/service-accounts.key" \
        >"$work/kube-controller-manager.log" 2>&1 &
    pids+=($!)
    "$servers/kube-scheduler" --kubeconfig "$KUBECONFIG" --leader-elect=false \
        --bind-address 127.0.0.1 --secure-port "$scheduler_port" --cert-dir "$work/certificates" \
        >"$work/kube-scheduler.log" 2>&1 &
    pids+=($!)
    "$kwok" --kubeconfig "$KUBECONFIG" --manage-all-nodes --node-lease-duration-seconds 40 \
        --server-address "127.0.0.1:$kwok_port" --node-ip 127.0.0.1 --node-port "$kwok_port" \
        --tls-cert-file "$work/kwok.crt" --tls-private-key-file "$work/kwok.key" \
        --config "$work/kwok.yaml" >"$work/kwok.log" 2>&1 &
    pids+=($!)
    make_nodes
    make_volumes
    "$kubectl" wait --for condition=ready --timeout 120s nodes --all >/dev/null \
        || fail "the nodes are not ready: $(tail -n 5 "$work/kwok.log" "$work/kube-controller-manager.log")"
}

# Six nodes in three zones.
make_nodes() {
    local number
    for number in 1 2 3 4 5 6; do
        cat <<NODE
---
apiVersion: v1
kind: Node
metadata:
  name: node-$number
  labels:
    kubernetes.io/hostname: node-$number
    kubernetes.io/arch: amd64
    topology.kubernetes.io/zone: zone-$((number % 3))
    pool: compute
status:
  allocatable: &resources {cpu: "16", memory: 64Gi, ephemeral-storage: 500Gi, pods: "110"}
  capacity: *resources
NODE
    done | "$kubectl" create --filename - >/dev/null
}

# Nobody makes volumes here, so there are enough of each class. A volume for one pod is for nothing else.
make_volumes() {
    local class number modes
    for class in standard fast; do
        for number in {1..16}; do
            modes=ReadWriteOnce,ReadWriteMany
            [ "$number" != 16 ] || modes=ReadWriteOncePod
            cat <<VOLUME
---
apiVersion: v1
kind: PersistentVolume
metadata:
  name: $class-$number
spec:
  storageClassName: $class
  accessModes: [$modes]
  capacity: {storage: 1Ti}
  hostPath: {path: /volumes/$class-$number}
VOLUME
        done
    done | "$kubectl" create --filename - >/dev/null
}

# The pods of a component over time: a line for each change, with its kind, the name, whether the pod is ready, and
# since when it is told to end. checks/ready.py reads it.
watch_pods() { # NAMESPACE COMPONENT FILE
    "$kubectl" get pods --namespace "$1" --selector "app.kubernetes.io/component=$2" --watch --output-watch-events \
        --output 'jsonpath={.type} {.object.metadata.name} {.object.status.conditions[?(@.type=="Ready")].status}/{.object.metadata.deletionTimestamp}{"\n"}' \
        >"$3" 2>/dev/null &
    watchers+=($!)
}

stop_watching() {
    [ ${#watchers[@]} -eq 0 ] || { kill "${watchers[@]}" && wait "${watchers[@]}"; } 2>/dev/null || true
    watchers=()
}
watchers=()
