# The programs that the checks use, fetched and built once and kept outside the checkout. Everything comes
# from the Go module proxy and the Python package index, in the versions and with the sums that stand here,
# in tools/go.sum and in Go's checksum database.

cache=${EMPORIA_CACHE:-$HOME/.cache/emporia}/helm

helm_version=v3.19.5
kubernetes_version=$(sed -n 's/^\tk8s.io\/kubernetes \(v[0-9.]*\)$/\1/p' "$here/tools/go.mod")
# Whose definitions of resources the API server gets.
keda=github.com/kedacore/keda/v2@v2.16.1
gateway_api=sigs.k8s.io/gateway-api@v1.3.0
kwok_version=v0.7.0
prometheus_operator=github.com/prometheus-operator/prometheus-operator@v0.85.0

# A compiler of Go is all that must be there.
need_go() {
    command -v go >/dev/null || fail "Go is missing: it builds Helm and the API server. Install it (1.21 or newer; it fetches the version it needs)"
}

# Sets $helm.
fetch_helm() {
    helm=$cache/helm-$helm_version
    export HELM=$helm HELM_CACHE_HOME=$work/helm/cache HELM_CONFIG_HOME=$work/helm/config HELM_DATA_HOME=$work/helm/data
    [ ! -x "$helm" ] || return 0
    need_go
    say "building Helm $helm_version from the Go module proxy (some minutes)"
    # Helm takes the version of Kubernetes that it renders for from its linker.
    local minor=${kubernetes_version#v1.} flags=-X=helm.sh/helm/v3/internal/version.version=$helm_version package
    for package in lint/rules chartutil; do
        flags+=" -X=helm.sh/helm/v3/pkg/$package.k8sVersionMajor=1 -X=helm.sh/helm/v3/pkg/$package.k8sVersionMinor=${minor%%.*}"
    done
    GOBIN=$cache/build nice go install -trimpath -ldflags="-s -w $flags" "helm.sh/helm/v3/cmd/helm@$helm_version" >&2
    mv "$cache/build/helm" "$helm"
}

# Sets $python.
fetch_python() {
    local venv
    venv=$cache/python-$(sha256sum "$here/requirements.txt" | cut -c1-16)
    python=$venv/bin/python
    [ ! -e "$venv/complete" ] || return 0
    command -v python3 >/dev/null || fail "Python 3.11 or newer is missing"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    touch "$venv/complete"
}

# Sets $servers, the folder with kube-apiserver and etcd, and $kubectl.
fetch_servers() {
    servers=$cache/kubernetes-$kubernetes_version-$(cat "$here"/tools/go.{mod,sum} | sha256sum | cut -c1-16)
    if [ ! -x "$servers/kube-apiserver" ] || [ ! -x "$servers/etcd" ]; then
        need_go
        say "building the API server of Kubernetes $kubernetes_version and etcd from the Go module proxy (10 to 30 minutes)"
        mkdir -p "$servers"
        build_tool kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
        build_tool etcd go.etcd.io/etcd/server/v3
    fi
    kubectl=$(command -v kubectl) || kubectl=$servers/kubectl
    [ -x "$kubectl" ] || build_tool kubectl k8s.io/kubernetes/cmd/kubectl
}

# Sets $kwok, and adds to $servers what makes pods of objects and gives them to nodes.
fetch_nodes() {
    local name
    for name in kube-controller-manager kube-scheduler; do
        if [ ! -x "$servers/$name" ]; then
            need_go
            say "building the $name of Kubernetes $kubernetes_version from the Go module proxy (some minutes)"
            build_tool "$name" "k8s.io/kubernetes/cmd/$name"
        fi
    done
    kwok=$cache/kwok-$kwok_version
    [ ! -x "$kwok" ] || return 0
    need_go
    say "building kwok $kwok_version from the Go module proxy (some minutes)"
    GOBIN=$cache/build nice go install -trimpath -ldflags="-s -w" "sigs.k8s.io/kwok/cmd/kwok@$kwok_version" >&2
    mv "$cache/build/kwok" "$kwok"
}

build_tool() { # NAME PACKAGE
    # The API server wants to know its version: it decides what it serves.
    local version=-X=k8s.io/component-base/version.gitVersion=$kubernetes_version
    (cd "$here/tools" && nice go build -trimpath -ldflags="-s -w $version" -o "$servers/$1.new" "$2") >&2
    mv "$servers/$1.new" "$servers/$1"
}

# Prints the folder of a Go module.
module() { # MODULE@VERSION
    go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}
