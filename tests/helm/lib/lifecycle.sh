# What a cluster makes of releases, on simulated nodes (lib/nodes.sh).

# A release whose pods are looked at one by one.
release_values=$here/site/lifecycle.yaml

nodes() {
    fetch_servers
    fetch_nodes
    link_tools
    trap 'stop_watching; stop_api_server' EXIT
    start_api_server
    define_resources
    "$kubectl" apply --filename "$here/site/cluster.yaml" >/dev/null
    start_nodes
    local file
    for file in "${values_sets[@]}"; do
        place "$file"
    done
    echo "the pods of ${#values_sets[@]} values sets pass the restricted level, are placed, and go with their release"
    begin_release
    replace_pods
    take_a_node_away
}

# A namespace of the site; pods below the restricted level are refused in it.
make_namespace() { # NAME
    "$kubectl" create namespace "$1" >/dev/null
    "$kubectl" label namespace "$1" pod-security.kubernetes.io/enforce=restricted >/dev/null
    "$kubectl" apply --namespace "$1" --filename "$here/site/namespace.yaml" >/dev/null
}

# The pods of a values set are made, find a node and a volume, and go with the release.
place() { # FILE
    local namespace deployments least
    namespace=nodes-$(name_of "$1")
    make_namespace "$namespace"
    "$helm" install release "$chart" --namespace "$namespace" --values "$1" >/dev/null
    mapfile -t deployments < <("$kubectl" get deployments --namespace "$namespace" --output name)
    [ ${#deployments[@]} -ge 2 ] || fail "$namespace: ${#deployments[@]} deployments"
    rolled_out "$namespace" "${deployments[@]}"
    # An autoscaler without figures still keeps the least number.
    least=$("$kubectl" get horizontalpodautoscalers --namespace "$namespace" --output 'jsonpath={.items[*].spec.minReplicas}')
    [ -z "$least" ] || "$kubectl" wait --for "jsonpath={.status.readyReplicas}=$least" --timeout 90s --namespace "$namespace" \
        deployment --selector app.kubernetes.io/component=executor >/dev/null || fail "$namespace: the autoscaler does nothing"
    "$helm" uninstall release --namespace "$namespace" >/dev/null 2>&1
    "$kubectl" wait --for delete --timeout 60s pods --all --namespace "$namespace" >/dev/null || fail "$namespace: pods stay"
}

rolled_out() { # NAMESPACE DEPLOYMENT...
    local deployment
    for deployment in "${@:2}"; do
        "$kubectl" rollout status "$deployment" --namespace "$1" --timeout 60s >/dev/null 2>"$work/refused" \
            || fail "$1: $deployment: $(cat "$work/refused") $("$kubectl" get events --namespace "$1" \
                --field-selector type=Warning --output 'jsonpath={range .items[-3:]}{.message}{"\n"}{end}')"
    done
}

# The commands of the notes: rollout, `helm test`, the shell, a job by hand.
begin_release() {
    make_namespace lifecycle
    "$helm" install release "$chart" --namespace lifecycle --values "$release_values" >"$work/notes"
    commands_of_the_notes lifecycle >"$work/said"
    grep -q "Phase: *Succeeded" "$work/said" || fail "helm test: $(cat "$work/said")"
    grep -q "release-emporia-shell" "$work/said" || fail "no shell: $(cat "$work/said")"
    "$kubectl" wait --for condition=complete --timeout 60s --namespace lifecycle job/report-now >/dev/null \
        || fail "the scheduled job does not run"
    # Without the shell, the notes say how to get it.
    "$helm" upgrade release "$chart" --namespace lifecycle --reuse-values --set client.shell.enabled=false >"$work/notes"
    sed -i '/ create job /d; / test /d' "$work/notes"
    commands_of_the_notes lifecycle >"$work/said"
    rolled_out lifecycle deployment/release-emporia-shell
    local nodes
    nodes=$(pods_of lifecycle executor '{.spec.nodeName}' | sort -u | wc -l)
    [ "$nodes" = 3 ] || fail "3 executors are on $nodes nodes"
    echo "the commands of the notes work, with and without the shell; executors are on a node each"
}

# Executors are replaced one by one, the scheduler only when it has to be, and the old one goes first.
replace_pods() {
    local before after fewest most
    before=$(pods_of lifecycle scheduler '{.metadata.uid}')
    watch_pods lifecycle executor "$work/executors"
    "$helm" upgrade release "$chart" --namespace lifecycle --reuse-values --set config.executor.job_data_ttl=7h >/dev/null
    rolled_out lifecycle deployment/release-emporia-executor
    after=$(pods_of lifecycle scheduler '{.metadata.uid}')
    [ "$before" = "$after" ] || fail "a setting of the executors replaced the scheduler"
    stop_watching
    read -r fewest most < <(check ready "$work/executors")
    [ "$fewest" -ge 3 ] || fail "while executors were replaced, $fewest of 3 were ready: $(cat "$work/executors")"
    watch_pods lifecycle scheduler "$work/schedulers"
    "$helm" upgrade release "$chart" --namespace lifecycle --reuse-values --set image.tag=0.1.1 >/dev/null
    rolled_out lifecycle deployment/release-emporia-scheduler deployment/release-emporia-executor
    stop_watching
    read -r _ most < <(check ready "$work/schedulers")
    [ "$most" = 1 ] || fail "$most schedulers were there at a time: $(cat "$work/schedulers")"
    echo "an upgrade keeps 3 executors ready and the scheduler alone"
}

# Nodes are drained: one executor at a time, and the scheduler not at all where its budget says so.
take_a_node_away() {
    local node fewest
    watch_pods lifecycle executor "$work/executors"
    for node in $(pods_of lifecycle executor '{.spec.nodeName}' | sort -u); do
        "$kubectl" drain "$node" --pod-selector app.kubernetes.io/component=executor --delete-emptydir-data \
            --timeout 60s >/dev/null 2>"$work/refused" || fail "drain of $node: $(cat "$work/refused")"
    done
    stop_watching
    read -r fewest _ < <(check ready "$work/executors")
    [ "$fewest" -ge 2 ] || fail "while nodes were drained, $fewest of 3 executors were ready: $(cat "$work/executors")"
    "$kubectl" uncordon --selector pool=compute >/dev/null
    node=$(pods_of lifecycle scheduler '{.spec.nodeName}')
    ! "$kubectl" drain "$node" --pod-selector app.kubernetes.io/component=scheduler --delete-emptydir-data \
        --timeout 6s >/dev/null 2>"$work/refused" || fail "the scheduler was evicted against its budget"
    grep -q "disruption budget" "$work/refused" || fail "drain of the scheduler: $(cat "$work/refused")"
    "$kubectl" uncordon "$node" >/dev/null
    echo "a drained node moves one executor at a time, and not the scheduler against its budget"
}

# A field of the running pods of a component, a line each.
pods_of() { # NAMESPACE COMPONENT JSONPATH
    "$kubectl" get pods --namespace "$1" --selector "app.kubernetes.io/component=$2" \
        --output "jsonpath={range .items[?(@.status.phase==\"Running\")]}$3{\"\n\"}{end}"
}
