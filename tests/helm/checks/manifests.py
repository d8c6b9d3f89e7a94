"""The objects of every values set: the drain contract, ways through the network policies, security,
services, files and labels."""

import json
import re
import tomllib
import xml.etree.ElementTree as xml

from chart import MINIMAL, NAMESPACE, RELEASE, SETS, Report, load, render, rendered

API, FLIGHT, TASKS, HEALTH = 50050, 50051, 50052, 50053
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Release:
    """The objects of one values set, and what the checks look for in them."""

    def __init__(self, path):
        self.name = path.stem
        self.values = load(path)
        self.objects = rendered(path)

    def of(self, kind, part="emporia", component=None):
        for item in self.objects:
            labels = item["metadata"]["labels"]
            mine = "dev-storage" if labels["app.kubernetes.io/name"] == "dev-storage" else "emporia"
            if item["kind"] == kind and mine == part:
                if component in (None, labels["app.kubernetes.io/component"]):
                    yield item

    def one(self, kind, component):
        found = list(self.of(kind, component=component))
        assert len(found) == 1, f"{self.name}: {len(found)} {kind} of {component}"
        return found[0]

    def config(self, component):
        found = [m for m in self.of("ConfigMap", component=component) if "emporia.toml" in m["data"]]
        return tomllib.loads(found[0]["data"]["emporia.toml"])

    def pods(self):
        """(name, metadata, spec) of every pod that the objects make."""
        for item in self.objects:
            name = f"{item['kind']}/{item['metadata']['name']}"
            if item["kind"] == "Pod":
                yield name, item["metadata"], item["spec"]
            elif item["kind"] == "Deployment":
                template = item["spec"]["template"]
                yield name, template["metadata"], template["spec"]
            elif item["kind"] == "CronJob":
                template = item["spec"]["jobTemplate"]["spec"]["template"]
                yield name, template["metadata"], template["spec"]


def seconds(text):
    return int(text[:-1]) * UNITS[text[-1]]


def drain_contract(release, check):
    """SIGTERM, the deadline of the tasks, the grace of the scheduler, SIGKILL: in this order."""
    scheduler, executor = release.config("scheduler")["scheduler"], release.config("executor")["executor"]
    deadline = seconds(executor["drain_timeout"])
    grace = seconds(scheduler["executor_termination_grace_period"])
    kill = release.one("Deployment", "executor")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    check(kill > grace >= deadline, f"executor: killed after {kill} s, grace {grace} s, deadline {deadline} s")
    check(kill >= deadline + 15, f"executor: {kill - deadline} s between deadline and kill")
    deadline = seconds(scheduler["drain_timeout"])
    kill = release.one("Deployment", "scheduler")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    check(kill >= deadline + 15, f"scheduler: killed after {kill} s, deadline {deadline} s")
    timeout = seconds(scheduler.get("executor_timeout", "20s"))
    check(seconds(scheduler.get("no_executors_grace_period", "30s")) >= timeout, "no_executors_grace_period")
    check(3 * seconds(executor.get("heartbeat_interval", "5s")) <= timeout, "heartbeat_interval")


def probes(release, check):
    for component, port in (("scheduler", "api"), ("executor", "health")):
        container = release.one("Deployment", component)["spec"]["template"]["spec"]["containers"][0]
        ports = {p["name"]: p["containerPort"] for p in container["ports"]}
        check(ports[port] == (API if component == "scheduler" else HEALTH), f"{component}: port {port}")
        for probe, path in (("startup", "/healthz"), ("liveness", "/healthz"), ("readiness", "/readyz")):
            get = container[f"{probe}Probe"]["httpGet"]
            check(get == {"path": path, "port": port}, f"{component}: {probe} probe asks {get}")


def services(release, check):
    """Clients reach the ready scheduler, executors the scheduler in every state, everybody an executor itself."""
    found = {s["metadata"]["name"]: s["spec"] for s in release.of("Service", component="scheduler")}
    ready = next(name for name in found if name.endswith("-scheduler"))
    every = next(name for name in found if name.endswith("-scheduler-registration"))
    check(len(found) == 2, f"services of the scheduler: {sorted(found)}")
    check(not found[ready].get("publishNotReadyAddresses"), f"{ready} leads to a scheduler that is not ready")
    check(found[every].get("publishNotReadyAddresses") is True, f"{every} leads to no scheduler that is not ready")
    check(found[ready]["selector"] == found[every]["selector"], "the services select different pods")

    def url(name):
        return f"http://{name}.{NAMESPACE}.svc:{API}"

    check(release.config("client")["client"]["cluster"] == url(ready), "the client's cluster")
    check(release.config("executor")["executor"]["scheduler_url"] == url(every), "the executors' scheduler")
    host = release.config("scheduler")["scheduler"]["external_host"]
    check(host == f"{every}.{NAMESPACE}.svc", "under which executors report to the scheduler")

    deployment = release.one("Deployment", "executor")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    variables = {v["name"]: v for v in container["env"]}
    advertised = variables["EMPORIA_EXECUTOR__EXTERNAL_HOST"]["valueFrom"]
    check(advertised == {"fieldRef": {"fieldPath": "status.podIP"}}, f"executors advertise {advertised}")
    slots = variables["EMPORIA_EXECUTOR__TASK_SLOTS"]
    if fixed := release.values.get("executor", {}).get("taskSlots"):
        check(slots["value"] == str(fixed), f"task slots are {slots}")
    else:
        field = slots["valueFrom"]["resourceFieldRef"]
        check((field["resource"], field["divisor"]) == ("limits.cpu", "1"), f"task slots are {slots}")
        check(container["resources"]["limits"].get("cpu"), "task slots are the cores of the node")
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    check(ports == {"flight": FLIGHT, "tasks": TASKS, "health": HEALTH}, f"ports of executors: {ports}")
    settings = release.config("executor")["executor"]
    in_file = {name: settings[f"{key}_port"] for name, key in (("flight", "flight"), ("tasks", "grpc"), ("health", "health"))}
    check(in_file == ports, f"ports in the file: {in_file}")
    check(settings["work_dir"] in [m["mountPath"] for m in container["volumeMounts"]], "the work folder is no volume")


def security(release, check):
    """The restricted level of the pod security standards, and more. The API server has the last word."""
    for name, _, spec in release.pods():
        check(spec.get("automountServiceAccountToken") is False, f"{name} mounts a token")
        check(spec.get("enableServiceLinks") is False, f"{name} takes variables of services")
        context = spec["securityContext"]
        check(context.get("runAsNonRoot") is True, f"{name} may run as root")
        check(context.get("seccompProfile") == {"type": "RuntimeDefault"}, f"{name} has no seccomp profile")
        check(not any(spec.get(f"host{what}") for what in ("Network", "PID", "IPC")), f"{name} shares with the host")
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            label = f"{name}/{container['name']}"
            context = container["securityContext"]
            check(context.get("allowPrivilegeEscalation") is False, f"{label} may get privileges")
            check(context.get("capabilities") == {"drop": ["ALL"]}, f"{label} keeps capabilities")
            check(re.search(r"(:[^/]+|@sha256:\w{64})$", container["image"]), f"{label} runs any {container['image']}")
            if "emporia" in container["image"]:
                check(context.get("readOnlyRootFilesystem") is True, f"{label} may write everywhere")
                check(container["resources"].get("requests"), f"{label} requests nothing")
                check(container["resources"].get("limits", {}).get("memory"), f"{label} has no memory limit")
        volumes = {v["name"] for v in spec.get("volumes", [])}
        mounts = {m["name"] for c in spec["containers"] for m in c.get("volumeMounts", [])}
        check(mounts <= volumes, f"{name} mounts {mounts - volumes}, which are no volumes")
    check(not list(release.of("Secret")) and not list(release.of("Secret", "dev-storage")), "the chart makes a secret")
    kinds = {o["kind"] for o in release.objects}
    check(not any("Role" in kind for kind in kinds), "the chart gives rights in the Kubernetes API")
    for account in release.of("ServiceAccount"):
        check(account["automountServiceAccountToken"] is False, "the service account mounts a token")


# --- network policies -------------------------------------------------------------------------


def selects(selector, labels):
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for term in selector.get("matchExpressions", []):
        there = term["key"] in labels
        holds = {"Exists": there, "DoesNotExist": not there}.get(term["operator"])
        if holds is None:
            holds = (labels.get(term["key"]) in term["values"]) == (term["operator"] == "In")
        if not holds:
            return False
    return True


class Network:
    """What a cluster that enforces the policies of a release lets through."""

    def __init__(self, release):
        self.policies = [o for o in release.objects if o["kind"] == "NetworkPolicy"]

    def is_peer(self, peer, pod):
        namespace, labels = pod
        if "ipBlock" in peer:
            return False
        if "namespaceSelector" in peer:
            if not selects(peer["namespaceSelector"], {NAMESPACE_LABEL: namespace}):
                return False
        elif namespace != NAMESPACE:
            return False
        return selects(peer.get("podSelector", {}), labels)

    def allows(self, direction, pod, other, port):
        namespace, labels = pod
        mine = [
            policy["spec"] for policy in self.policies
            if namespace == NAMESPACE and selects(policy["spec"]["podSelector"], labels)
            and direction.title() in policy["spec"]["policyTypes"]
        ]  # fmt: skip
        if not mine:
            return True
        side = "from" if direction == "ingress" else "to"
        for rule in (rule for spec in mine for rule in spec.get(direction, [])):
            if side in rule and not any(self.is_peer(peer, other) for peer in rule[side]):
                continue
            if "ports" not in rule or any(p["port"] == port for p in rule["ports"]):
                return True
        return False

    def reaches(self, source, target, port):
        return self.allows("egress", source, target, port) and self.allows("ingress", target, source, port)


def network(release, check):
    if not any(release.of("NetworkPolicy")):
        check(release.values.get("networkPolicy", {}).get("enabled") is False, "no network policy")
        return
    labels = {}
    for component in ("scheduler", "executor"):
        labels[component] = release.one("Deployment", component)["spec"]["template"]["metadata"]["labels"]
    full_name = release.one("Deployment", "executor")["metadata"]["name"].removesuffix("-executor")
    tests = {o["metadata"]["name"].split("-test-")[1]: o["metadata"]["labels"] for o in release.of("Pod")}
    values = release.values
    keda_namespace = values.get("executor", {}).get("autoscaling", {}).get("keda", {}).get("namespace", "keda")
    ways = {
        "scheduler": (NAMESPACE, labels["scheduler"]),
        "executor": (NAMESPACE, labels["executor"]),
        "test of SQL": (NAMESPACE, tests["sql"]),
        "test of the policy": (NAMESPACE, tests["network-policy"]),
        "client of the user": (NAMESPACE, {"emporia/client-of": full_name}),
        "client of another release": (NAMESPACE, {"emporia/client-of": "another"}),
        "any pod": (NAMESPACE, {"app": "any"}),
        "client in another namespace": ("elsewhere", {"emporia/client-of": full_name}),
        "prometheus": ("prometheus" if release.name == "full" else "monitoring", {"app.kubernetes.io/name": "prometheus"}),
        "grafana": ("monitoring", {"app.kubernetes.io/name": "grafana"}),
        "keda": (keda_namespace, {"app": "keda-operator"}),
        "neighbour of keda": (keda_namespace, {"app": "keda-admission-webhooks"}),
        "gateway": ("ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
        "notebook": ("notebooks", {"app": "notebook"}),
    }
    for name, metadata, _ in release.pods():
        if name.startswith("CronJob/") or name.endswith("-shell"):
            ways[name] = (NAMESPACE, metadata["labels"])
    own_clients = {"test of SQL"} | {name for name in ways if "/" in name}
    clients = {"client of the user"} | own_clients
    if release.name == "full":
        clients |= {"notebook"}
    monitored = {"prometheus"} if values.get("metrics", {}).get("serviceMonitor", {}).get("enabled") else set()
    scaled = {"keda"} if any(o["kind"] == "ScaledObject" for o in release.objects) else set()
    gateways = {"gateway"} if any(o["kind"] in ("Ingress", "HTTPRoute") for o in release.objects) else set()
    allowed = {
        ("scheduler", API): clients | {"executor"} | monitored | scaled | gateways,
        ("executor", FLIGHT): clients | {"executor", "scheduler"},
        ("executor", TASKS): {"scheduler"},
        ("executor", HEALTH): monitored,
        ("scheduler", FLIGHT): set(),
        ("executor", 22): set(),
        ("test of SQL", 80): set(),
    }
    simulated = Network(release)
    for (target, port), sources in allowed.items():
        for source in ways:
            # A prober without a policy of its own may send; whether it arrives is what counts.
            expected, reached = source in sources, simulated.reaches(ways[source], ways[target], port)
            # A pod speaks to itself in any case, and pods of one set share its labels.
            if source == target and (target, port) not in {("executor", FLIGHT)}:
                continue
            check(expected == reached, f"{source} {'does not reach' if expected else 'reaches'} {target}:{port}")
    nameserver, internet = ("kube-system", {"k8s-app": "kube-dns"}), ("elsewhere", {})
    for source in {"scheduler", "executor"} | own_clients:
        check(simulated.reaches(ways[source], nameserver, 53), f"{source} finds no names")
        check(not simulated.reaches(ways[source], internet, 443), f"{source} reaches anything")
        check(not simulated.reaches(ways[source], internet, 53), f"{source} reaches any name server")
    stores = {s["metadata"]["name"]: s for s in release.of("Service", "dev-storage")}
    for name, store in stores.items():
        for port in (p["port"] for p in store["spec"]["ports"]):
            pod = (NAMESPACE, store["spec"]["selector"])
            for source in ("scheduler", "executor", "test of SQL", "client of the user"):
                check(simulated.reaches(ways[source], pod, port), f"{source} does not reach {name}:{port}")
            for source in ("any pod", "client in another namespace"):
                check(not simulated.reaches(ways[source], pod, port), f"{source} reaches {name}:{port}")
    if release.name == "external-storage":
        store = ("storage", {"app": "namenode"})
        for source in ("scheduler", "executor", "test of SQL"):
            check(simulated.reaches(ways[source], store, 8020), f"{source} does not reach the store")


# --- the rest ---------------------------------------------------------------------------------


def labels_and_selectors(release, check):
    wanted = {f"app.kubernetes.io/{key}" for key in ("name", "instance", "component", "part-of", "managed-by")}
    names = set()
    for item in release.objects:
        name = (item["kind"], item["metadata"]["name"])
        check(name not in names, f"{name} is there twice")
        names.add(name)
        check(wanted <= set(item["metadata"]["labels"]), f"{name} lacks {wanted - set(item['metadata']['labels'])}")
        check(item["metadata"].get("namespace") == NAMESPACE, f"{name} is in no namespace")
        if item["kind"] == "Deployment":
            selector = item["spec"]["selector"]["matchLabels"]
            check("app.kubernetes.io/component" in selector, f"{name} selects all components")
            check(selects({"matchLabels": selector}, item["spec"]["template"]["metadata"]["labels"]), f"{name}: selector")
    deployments = [d["spec"]["template"]["metadata"]["labels"] for d in release.objects if d["kind"] == "Deployment"]
    for item in release.objects:
        if item["kind"] in ("Service", "PodDisruptionBudget"):
            selector = item["spec"]["selector"]
            selector = selector.get("matchLabels", selector)
            n_selected = sum(selects({"matchLabels": selector}, labels) for labels in deployments)
            check(n_selected == 1, f"{item['kind']} {item['metadata']['name']} selects {n_selected} deployments")


def files(release, check):
    for component in ("scheduler", "executor", "client"):
        config = release.config(component)
        check(component in config and "stores" in config, f"sections of the {component}: {list(config)}")
    client = release.config("client")
    check(client.get("tables", {}) == release.values.get("tables", {}), "the tables of the client")
    check(client.get("warehouse") == release.values.get("warehouse"), "the warehouse of the client")
    for component in ("scheduler", "executor", "client"):
        found = [m["data"] for m in release.of("ConfigMap", component=component) if "emporia.toml" in m["data"]]
        further = {name: text for name, text in found[0].items() if name != "emporia.toml"}
        check(further == release.values.get("extraConfigFiles", {}), f"files of the {component}: {sorted(further)}")
    check("tables" not in release.config("executor"), "executors know the tables of the client")
    for path, text in ((k, v) for m in release.of("ConfigMap") for k, v in m["data"].items() if k.endswith(".xml")):
        found = {p.find("name").text: p.find("value").text for p in xml.fromstring(text)}
        wanted = release.values.get("stores", {}).get("hadoop", {})
        wanted = wanted.get("coreSite" if path == "core-site.xml" else "hdfsSite", {})
        if wanted:
            texts = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in wanted.items()}
            check(found == texts, f"{path}: {found}")
    for board in (m for m in release.of("ConfigMap") if m["metadata"]["name"].endswith("-dashboards")):
        check(json.loads(board["data"]["emporia.json"])["panels"], "the dashboard is empty")
    roots = ",".join(release.values.get("localRoots", ["/data"]))
    for component, wanted in (("scheduler", roots), ("executor", roots), ("client", None)):
        stores = release.config(component)["stores"]
        check(stores.get("local_roots") == wanted, f"local files of the {component}: {stores.get('local_roots')}")
        named = [value for key, value in stores.items() if key.endswith("_file")]
        for name, metadata, spec in release.pods():
            if metadata["labels"].get("app.kubernetes.io/component") == component:
                mounts = [m["mountPath"] for m in spec["containers"][0]["volumeMounts"]]
                check(all(any(path.startswith(f"{m}/") for m in mounts) for path in named), f"{name} has no {named}")
                variables = [v["name"] for v in spec["containers"][0]["env"]]
                check(not any("MONGODB" in v for v in variables), f"{name}: secrets of MongoDB in {variables}")
    password = re.compile(r"mongodb(\+srv)?://[^/\s\"]*@")
    check(not password.search(json.dumps(release.objects)), "a password stands in the objects")


def scaling(release, check):
    deployment = release.one("Deployment", "executor")["spec"]
    scalers = [o for o in release.objects if o["kind"] in ("ScaledObject", "HorizontalPodAutoscaler")]
    check(len(scalers) <= 1, "two autoscalers")
    check(("replicas" in deployment) != bool(scalers), "replicas and an autoscaler, or neither")
    for scaler in scalers:
        check(scaler["spec"]["scaleTargetRef"]["name"].endswith("-executor"), "the autoscaler's target")
    scheduler = release.one("Deployment", "scheduler")["spec"]
    check((scheduler["replicas"], scheduler["strategy"]) == (1, {"type": "Recreate"}), "more than one scheduler")


def shell(release, check):
    """The pod for prompts sees what a scheduled job sees, ends at once, and stays when a table changes."""
    found = list(release.of("Deployment", component="shell"))
    wanted = release.values.get("client", {}).get("shell", {}).get("enabled", False)
    check(len(found) == wanted, f"{len(found)} shells")
    for deployment in found:
        spec = deployment["spec"]["template"]["spec"]
        volumes = {v["name"]: v for v in spec["volumes"]}
        check(volumes["config"]["configMap"]["name"].endswith("-client"), "the shell has no tables")
        for job in (item for item in release.of("CronJob")):
            other = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
            check(other["volumes"] == spec["volumes"], "the volumes of the shell are not those of a job")
            mounts = [container["volumeMounts"] for container in (other["containers"][0], spec["containers"][0])]
            check(mounts[0] == mounts[1], "the mounts of the shell are not those of a job")
        check("TERM" in spec["containers"][0]["args"][0], "the shell does not end when it is told to")
        annotations = deployment["spec"]["template"]["metadata"].get("annotations", {})
        check(not any(key.startswith("checksum/") for key in annotations), "a new table ends the prompts")


def ways_in(release, check):
    service = release.values.get("scheduler", {}).get("service", {})
    for item in release.objects:
        if item["kind"] == "Service":
            asked = item["metadata"]["name"].endswith("-scheduler")
            wanted = service.get("type", "ClusterIP") if asked else "ClusterIP"
            check(item["spec"].get("type", "ClusterIP") == wanted, f"{item['metadata']['name']} is open to the outside")
        elif item["kind"] == "Ingress":
            paths = {p["path"] for r in item["spec"]["rules"] for p in r["http"]["paths"]}
            check(paths == {"/api"}, f"the ingress leads to {paths}")
        elif item["kind"] == "HTTPRoute":
            paths = {m["path"]["value"] for r in item["spec"]["rules"] for m in r["matches"]}
            check(paths == {"/api"}, f"the route leads to {paths}")


def images(release, check):
    """From the registry with its credentials, or from none: the names are nobody's on Docker Hub."""
    values = release.values.get("global", {})
    registry, secrets = values.get("imageRegistry"), values.get("imagePullSecrets", [])
    for name, _, spec in release.pods():
        check([s["name"] for s in spec.get("imagePullSecrets", [])] == secrets, f"{name}: credentials of the registry")
        for container in spec["containers"]:
            image = container["image"]
            if registry and (secrets or "emporia-" in image):
                check(image.startswith(f"{registry}/"), f"{name} pulls {image}")
            elif "emporia-" in image:
                check(container["imagePullPolicy"] == "Never", f"{name} pulls {image}")


def restarts(report):
    """Pods are replaced when a file of theirs changes, and only then: a new scheduler loses its jobs, and a new
    shell ends the prompts."""

    def checksums(override):
        objects, error = render(MINIMAL, override={"client": {"shell": {"enabled": True}}, **override})
        assert error is None, error
        templates = {o["metadata"]["labels"]["app.kubernetes.io/component"]: o["spec"]["template"] for o in objects if o["kind"] == "Deployment"}
        return {component: json.dumps(template, sort_keys=True) for component, template in templates.items()}

    before = checksums({})
    changes = {
        "a setting of the executor": ({"config": {"executor": {"job_data_ttl": "1h"}}}, {"executor"}),
        "a setting of the scheduler": ({"config": {"scheduler": {"task_max_failures": 7}}}, {"scheduler"}),
        "the drain of executors": ({"executor": {"drain": {"deadlineSeconds": 100}}}, {"executor"}),
        "a table": (
            {"tables": {"new": {"connector": "csv", "location": "hdfs://new/"}}, "networkPolicy": {"storesTo": [{}]}},
            set(),
        ),
        "a further file": ({"extraConfigFiles": {"new": "new"}}, {"scheduler", "executor"}),
        "a scheduled job": ({"scheduledJobs": [{"name": "new", "schedule": "@daily", "args": ["jobs"]}]}, set()),
        "the number of executors": ({"executor": {"replicas": 5}}, set()),
        "hadoop": (
            {"stores": {"hadoop": {"coreSite": {"fs.defaultFS": "hdfs://new"}}}, "networkPolicy": {"storesTo": [{}]}},
            {"scheduler", "executor", "shell"},
        ),
    }
    for what, (override, expected) in changes.items():
        after = checksums(override)
        replaced = {component for component in before if before[component] != after[component]}
        report.check(replaced == expected, f"{what} replaces the pods of {sorted(replaced)}")


def main():
    report = Report("manifests")
    parts = (
        drain_contract, probes, services, security, network, labels_and_selectors, files, scaling, shell,
        ways_in, images,
    )  # fmt: skip
    for path in SETS:
        release = Release(path)
        for part in parts:
            part(release, lambda holds, message: report.check(holds, f"{release.name}: {part.__name__}: {message}"))
    restarts(report)
    report.end()


main()
