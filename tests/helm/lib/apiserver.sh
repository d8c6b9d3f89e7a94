# An API server of Kubernetes with etcd below it, on this machine and for this run. It validates and stores
# objects as in any cluster; without the controllers and nodes of lib/nodes.sh, no pod is ever made.

pids=()

stop_api_server() {
    [ ${#pids[@]} -eq 0 ] || { kill "${pids[@]}" && wait "${pids[@]}"; } 2>/dev/null || true
}

start_api_server() { # [PLUGIN,...]: admission plugins that it goes without
    local api_port etcd_port peer_port
    read -r api_port etcd_port peer_port < <(free_ports 3)
    rm -rf "$work/etcd" "$work/kubectl"
    mkdir -p "$work/etcd" "$work/certificates"
    openssl genrsa -out "$work/service-accounts.key" 2048 2>/dev/null
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$work/token"
    echo "$(cat "$work/token"),tests,tests,system:masters" >"$work/tokens.csv"

    "$servers/etcd" --data-dir "$work/etcd" --unsafe-no-fsync --log-level error \
        --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
        --listen-peer-urls "http://127.0.0.1:$peer_port" --initial-advertise-peer-urls "http://127.0.0.1:$peer_port" \
        --initial-cluster "default=http://127.0.0.1:$peer_port" >"$work/etcd.log" 2>&1 &
    pids+=($!)
    "$servers/kube-apiserver" --etcd-servers "http://127.0.0.1:$etcd_port" \
        --bind-address 127.0.0.1 --secure-port "$api_port" --advertise-address 127.0.0.1 \
        --cert-dir "$work/certificates" --token-auth-file "$work/tokens.csv" --authorization-mode RBAC \
        --service-account-issuer https://kubernetes.default.svc \
        --service-account-key-file "$work/service-accounts.key" \
        --service-account-signing-key-file "$work/service-accounts.key" \
        --service-cluster-ip-range 10.96.0.0/16 --endpoint-reconciler-type none \
        --kubelet-preferred-address-types InternalIP \
        --disable-admission-plugins "${1:-}" >"$work/kube-apiserver.log" 2>&1 &
    pids+=($!)

    export KUBECONFIG=$work/kubeconfig KUBECACHEDIR=$work/kubectl
    cat >"$KUBECONFIG" <<CONFIG
apiVersion: v1
kind: Config
current-context: tests
contexts: [{name: tests, context: {cluster: tests, user: tests}}]
clusters: [{name: tests, cluster: {server: "https://127.0.0.1:$api_port", certificate-authority: "$work/certificates/apiserver.crt"}}]
users: [{name: tests, user: {tokenFile: "$work/token"}}]
CONFIG
    local pid deadline=$((SECONDS + 180))
    until "$kubectl" get --raw /readyz >/dev/null 2>&1; do
        for pid in "${pids[@]}"; do
            kill -0 "$pid" 2>/dev/null || fail "a server ended: $(tail -n 5 "$work/etcd.log" "$work/kube-apiserver.log")"
        done
        [ $SECONDS -lt $deadline ] || fail "the API server is not ready: $(tail -n 5 "$work/kube-apiserver.log")"
        sleep 0.5
    done
}

# Held at the same time, so that they differ.
free_ports() { # NUMBER
    "$python" - "$1" <<'PYTHON'
import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in sockets))
PYTHON
}

# The kinds that the chart makes and Kubernetes does not know by itself, as their projects define them.
define_resources() {
    local files=()
    files+=("$(module $keda)/config/crd/bases/keda.sh_scaledobjects.yaml")
    files+=("$(module $gateway_api)/config/crd/standard/gateway.networking.k8s.io_httproutes.yaml")
    local operator
    operator=$(module $prometheus_operator)/example/prometheus-operator-crd
    files+=("$operator/monitoring.coreos.com_servicemonitors.yaml" "$operator/monitoring.coreos.com_prometheusrules.yaml")
    local file
    for file in "${files[@]}"; do
        "$kubectl" create --filename "$file" >/dev/null
    done
    "$kubectl" wait --for condition=established --timeout 60s crd --all >/dev/null
}
