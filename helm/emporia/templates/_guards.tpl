{{/* Values that contradict each other, or cannot work. The schema cannot see them; all are reported at once. */}}

{{- define "emporia.guards" }}
{{- $wrong := list }}
{{- $executor := .Values.executor }}
{{- $scheduler := .Values.scheduler }}
{{- $stores := .Values.stores }}

{{- /* The drain: the process gives up first, then the scheduler gives the tasks away, then the pod is killed. */}}
{{- $margin := 15 }}
{{- $deadline := int64 $executor.drain.deadlineSeconds }}
{{- $grace := int64 $executor.drain.schedulerGraceSeconds }}
{{- $kill := int64 $executor.terminationGracePeriodSeconds }}
{{- if lt $grace $deadline }}
{{- $wrong = append $wrong (printf "executor.drain.schedulerGraceSeconds (%d) must not be below executor.drain.deadlineSeconds (%d): the scheduler would give away tasks that still run" $grace $deadline) }}
{{- end }}
{{- if le $kill $grace }}
{{- $wrong = append $wrong (printf "executor.terminationGracePeriodSeconds (%d) must be above executor.drain.schedulerGraceSeconds (%d): pods would be killed before the scheduler gives their tasks away" $kill $grace) }}
{{- end }}
{{- if lt $kill (add $deadline $margin) }}
{{- $wrong = append $wrong (printf "executor.terminationGracePeriodSeconds (%d) must be at least %d s above executor.drain.deadlineSeconds (%d)" $kill $margin $deadline) }}
{{- end }}
{{- $deadline = int64 $scheduler.drain.deadlineSeconds }}
{{- $kill = int64 $scheduler.terminationGracePeriodSeconds }}
{{- if lt $kill (add $deadline $margin) }}
{{- $wrong = append $wrong (printf "scheduler.terminationGracePeriodSeconds (%d) must be at least %d s above scheduler.drain.deadlineSeconds (%d)" $kill $margin $deadline) }}
{{- end }}

{{- range $name, $values := dict "scheduler" $scheduler "executor" $executor }}
{{- $sleep := dig "preStop" "sleep" "seconds" 0 $values.lifecycle | int64 }}
{{- $drained := add (int64 $values.drain.deadlineSeconds) $margin }}
{{- if eq $name "executor" }}
{{- $drained = max $drained (add (int64 $executor.drain.schedulerGraceSeconds) 1) }}
{{- end }}
{{- if and $sleep (lt (int64 $values.terminationGracePeriodSeconds) (add $sleep $drained)) }}
{{- $wrong = append $wrong (printf "%s.terminationGracePeriodSeconds (%d) must be at least %d: lifecycle.preStop sleeps %d s before the drain begins" $name (int64 $values.terminationGracePeriodSeconds) (add $sleep $drained) $sleep) }}
{{- end }}
{{- end }}

{{- /* Heartbeats. The defaults are those of the programs. */}}
{{- $timeout := dig "executor_timeout" "20s" .Values.config.scheduler }}
{{- $patience := dig "no_executors_grace_period" "30s" .Values.config.scheduler }}
{{- $heartbeat := dig "heartbeat_interval" "5s" .Values.config.executor }}
{{- if lt (include "emporia.seconds" $patience | int64) (include "emporia.seconds" $timeout | int64) }}
{{- $wrong = append $wrong (printf "config.scheduler.no_executors_grace_period (%s) must not be below config.scheduler.executor_timeout (%s)" $patience $timeout) }}
{{- end }}
{{- if gt (mul 3 (include "emporia.seconds" $heartbeat | int64)) (include "emporia.seconds" $timeout | int64) }}
{{- $wrong = append $wrong (printf "config.executor.heartbeat_interval (%s) must be at most a third of config.scheduler.executor_timeout (%s)" $heartbeat $timeout) }}
{{- end }}

{{- /* Memory: a share of what? */}}
{{- if not (or (dig "limits" "memory" "" $executor.resources) (dig "memory_limit" "" .Values.config.executor)) }}
{{- $wrong = append $wrong "executor.resources.limits.memory must be set, or config.executor.memory_limit: else every executor takes its share of the whole node" }}
{{- end }}

{{- /* Task slots: as many as what? */}}
{{- if not (or $executor.taskSlots (dig "limits" "cpu" "" $executor.resources)) }}
{{- $wrong = append $wrong "executor.resources.limits.cpu must be set, or executor.taskSlots: else every executor runs as many tasks at a time as its node has cores" }}
{{- end }}

{{- /* Scaling. */}}
{{- if and (not (include "emporia.autoscaled" .)) (lt (int64 $executor.replicas) 1) }}
{{- $wrong = append $wrong "executor.replicas must be at least 1: without an executor the scheduler takes no work and is never ready" }}
{{- end }}
{{- if and $executor.autoscaling.keda.enabled $executor.autoscaling.hpa.enabled }}
{{- $wrong = append $wrong "executor.autoscaling.keda and executor.autoscaling.hpa exclude each other: both would set the number of executors" }}
{{- end }}
{{- if and (include "emporia.autoscaled" .) (gt (int64 $executor.autoscaling.minReplicas) (int64 $executor.autoscaling.maxReplicas)) }}
{{- $wrong = append $wrong (printf "executor.autoscaling.minReplicas (%d) must not be above maxReplicas (%d)" (int64 $executor.autoscaling.minReplicas) (int64 $executor.autoscaling.maxReplicas)) }}
{{- end }}
{{- if and (eq (toString $executor.rollingUpdate.maxSurge | trimSuffix "%") "0") (eq (toString $executor.rollingUpdate.maxUnavailable | trimSuffix "%") "0") }}
{{- $wrong = append $wrong "executor.rollingUpdate.maxSurge and maxUnavailable must not both be 0: no executor could be replaced" }}
{{- end }}

{{- /* Images. */}}
{{- if not .Values.global.imageRegistry }}
{{- $images := dict }}
{{- if ne .Values.image.pullPolicy "Never" }}
{{- range tuple "scheduler" "executor" "client" }}
{{- $_ := set $images . (get $.Values .).image.repository }}
{{- end }}
{{- end }}
{{- if and .Values.devStorage.enabled (ne (dig "pullPolicy" "" .Values.devStorage) "Never") }}
{{- range tuple "hdfs" "hbase" }}
{{- if include "emporia.devStore" (dict "root" $ "store" .) }}
{{- $_ := set $images (printf "devStorage.%s" .) (dig . "image" "repository" "" $.Values.devStorage) }}
{{- end }}
{{- end }}
{{- end }}
{{- $nowhere := list }}
{{- range $name, $repository := $images }}
{{- if not (contains "/" $repository) }}
{{- $nowhere = append $nowhere $repository }}
{{- end }}
{{- end }}
{{- with $nowhere }}
{{- $wrong = append $wrong (printf "global.imageRegistry must name the registry with the images: %s would be looked for on Docker Hub, where anybody might own the names (where every node has the images, set pullPolicy to Never)" (join ", " (sortAlpha .))) }}
{{- end }}
{{- end }}

{{- /* Ways in. */}}
{{- $service := $scheduler.service }}
{{- if and (eq $service.type "ClusterIP") (or $service.nodePort $service.externalTrafficPolicy) }}
{{- $wrong = append $wrong "scheduler.service.nodePort and externalTrafficPolicy have no use with the type ClusterIP" }}
{{- end }}
{{- if and (ne $service.type "LoadBalancer") (or $service.loadBalancerClass $service.loadBalancerSourceRanges) }}
{{- $wrong = append $wrong "scheduler.service.loadBalancerClass and loadBalancerSourceRanges have no use without the type LoadBalancer" }}
{{- end }}
{{- if and (eq $service.type "LoadBalancer") (not $service.loadBalancerSourceRanges) }}
{{- $wrong = append $wrong "scheduler.service.loadBalancerSourceRanges must name the networks that are let in: the port has no authentication" }}
{{- end }}
{{- if and (ne $service.type "ClusterIP") .Values.networkPolicy.enabled (not .Values.networkPolicy.clientsFrom) }}
{{- $wrong = append $wrong (printf "networkPolicy.clientsFrom must name the networks (ipBlock) of the clients that come through the %s: else the network policy shuts it" $service.type) }}
{{- end }}
{{- if and $scheduler.ingress.enabled (not $scheduler.ingress.hosts) }}
{{- $wrong = append $wrong "scheduler.ingress.hosts must name a host" }}
{{- end }}
{{- if and $scheduler.httpRoute.enabled (not $scheduler.httpRoute.parentRefs) }}
{{- $wrong = append $wrong "scheduler.httpRoute.parentRefs must name a gateway" }}
{{- end }}
{{- if and .Values.networkPolicy.enabled (or $scheduler.ingress.enabled $scheduler.httpRoute.enabled) (not .Values.networkPolicy.gatewayFrom) }}
{{- $wrong = append $wrong "networkPolicy.gatewayFrom must name the pods of the ingress controller or gateway: else the network policy shuts them out" }}
{{- end }}

{{- /* Stores. */}}
{{- $external := list }}
{{- $hadoop := $stores.hadoop }}
{{- if or $hadoop.coreSite $hadoop.hdfsSite $hadoop.existingConfigMap }}
{{- $external = append $external "hdfs" }}
{{- end }}
{{- if or $stores.hbase.gateways $stores.hbase.adminGateway }}
{{- $external = append $external "hbase" }}
{{- end }}
{{- if or $stores.mongodb.uri $stores.mongodb.uriSecret.name $stores.mongodb.user }}
{{- $external = append $external "mongodb" }}
{{- end }}
{{- $wanted := $external }}
{{- range .Values.tables }}
{{- if and (hasPrefix "hdfs://" .location) (not (include "emporia.devStore" (dict "root" $ "store" "hdfs"))) (not (has "hdfs" $wanted)) }}
{{- $wanted = append $wanted "hdfs" }}
{{- end }}
{{- end }}
{{- if and $wanted .Values.networkPolicy.enabled (not .Values.networkPolicy.storesTo) }}
{{- $wrong = append $wrong (printf "networkPolicy.storesTo must have a rule for the way to %s: else the network policy shuts it" (join ", " $wanted)) }}
{{- end }}
{{- range $external }}
{{- if include "emporia.devStore" (dict "root" $ "store" .) }}
{{- $wrong = append $wrong (printf "devStorage.%s and the external store below `stores` exclude each other" .) }}
{{- end }}
{{- end }}
{{- if and $hadoop.existingConfigMap (or $hadoop.coreSite $hadoop.hdfsSite) }}
{{- $wrong = append $wrong "stores.hadoop.existingConfigMap and stores.hadoop.coreSite or hdfsSite exclude each other" }}
{{- end }}
{{- if and $stores.hbase.tls.caSecret.name (not $stores.hbase.tls.enabled) }}
{{- $wrong = append $wrong "stores.hbase.tls.caSecret has no use without stores.hbase.tls.enabled" }}
{{- end }}
{{- if and $stores.mongodb.uri $stores.mongodb.uriSecret.name }}
{{- $wrong = append $wrong "stores.mongodb.uri and stores.mongodb.uriSecret exclude each other" }}
{{- end }}
{{- if ne (empty $stores.mongodb.user) (empty $stores.mongodb.passwordSecret.name) }}
{{- $wrong = append $wrong "stores.mongodb.user and stores.mongodb.passwordSecret belong together" }}
{{- end }}
{{- range .Values.existingSecrets }}
{{- if not (or .mountPath .env) }}
{{- $wrong = append $wrong (printf "existingSecrets: %s needs a mountPath or env" .name) }}
{{- end }}
{{- end }}
{{- range $name, $table := .Values.tables }}
{{- if and $table.contract $table.columns }}
{{- $wrong = append $wrong (printf "tables.%s: contract and columns exclude each other" $name) }}
{{- end }}
{{- end }}

{{- /* Where tables are. */}}
{{- range $name, $table := .Values.tables }}
{{- $location := $table.location }}
{{- if eq $table.connector "hbase" }}
{{- if not (hasPrefix "hbase:" $location) }}
{{- $wrong = append $wrong (printf "tables.%s: %s is not of the form hbase:TABLE" $name $location) }}
{{- else if not (include "emporia.reachable" (dict "root" $ "store" "hbase" "named" $stores.hbase.gateways "variable" "EMPORIA_STORES__HBASE_GATEWAYS")) }}
{{- $wrong = append $wrong (printf "tables.%s is in HBase, and stores.hbase.gateways names no gateway" $name) }}
{{- end }}
{{- else if eq $table.connector "mongodb" }}
{{- if not (hasPrefix "mongodb:" $location) }}
{{- $wrong = append $wrong (printf "tables.%s: %s is not of the form mongodb:DATABASE.COLLECTION" $name $location) }}
{{- else if not (include "emporia.reachable" (dict "root" $ "store" "mongodb" "named" (or $stores.mongodb.uri $stores.mongodb.uriSecret.name) "variable" "EMPORIA_STORES__MONGODB_URI")) }}
{{- $wrong = append $wrong (printf "tables.%s is in MongoDB, and stores.mongodb has neither uri nor uriSecret" $name) }}
{{- end }}
{{- else }}
{{- with include "emporia.guards.folder" (dict "root" $ "location" $location) }}
{{- $wrong = append $wrong (printf "tables.%s: %s" $name .) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.warehouse }}
{{- with include "emporia.guards.folder" (dict "root" $ "location" .) }}
{{- $wrong = append $wrong (printf "warehouse: %s" .) }}
{{- end }}
{{- end }}

{{- /* What users of SQL may read. */}}
{{- $secret := dict }}
{{- range concat .Values.extraVolumes $scheduler.extraVolumes $executor.extraVolumes }}
{{- if or .secret .projected }}
{{- $_ := set $secret .name true }}
{{- end }}
{{- end }}
{{- $paths := list }}
{{- range .Values.existingSecrets }}
{{- $paths = append $paths (.mountPath | default "") }}
{{- end }}
{{- range concat .Values.extraVolumeMounts $scheduler.extraVolumeMounts $executor.extraVolumeMounts }}
{{- if hasKey $secret .name }}
{{- $paths = append $paths .mountPath }}
{{- end }}
{{- end }}
{{- range $root := .Values.localRoots }}
{{- range $path := $paths }}
{{- if and $path (hasPrefix (printf "%s/" (clean $root | trimSuffix "/")) (printf "%s/" (clean $path))) }}
{{- $wrong = append $wrong (printf "localRoots: %s holds the secret at %s, which any user of SQL could read" $root $path) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Names. */}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.dnsTo) }}
{{- $wrong = append $wrong "networkPolicy.dnsTo must name the name servers of the cluster: else no pod finds another" }}
{{- end }}
{{- if and (eq .Values.dnsPolicy "None") (not .Values.dnsConfig.nameservers) }}
{{- $wrong = append $wrong "dnsPolicy None wants dnsConfig.nameservers" }}
{{- end }}

{{- /* Monitors. */}}
{{- with .Values.metrics.serviceMonitor }}
{{- if and .scrapeTimeout (gt (include "emporia.seconds" .scrapeTimeout | int64) (include "emporia.seconds" .interval | int64)) }}
{{- $wrong = append $wrong (printf "metrics.serviceMonitor.scrapeTimeout (%s) must not be above interval (%s)" .scrapeTimeout .interval) }}
{{- end }}
{{- end }}

{{- /* Further objects. */}}
{{- range .Values.extraObjects }}
{{- if regexMatch "(?m)^[ \t]*[\"']?kind[\"']?:[ \t]*[\"']?Secret[\"']?[ \t]*$" (include "emporia.extraObject" (dict "root" $ "object" .)) }}
{{- $wrong = append $wrong "extraObjects must not hold a Secret: values are stored in the release; name a secret that exists" }}
{{- end }}
{{- end }}

{{- /* Scheduled jobs. */}}
{{- $names := list }}
{{- range .Values.scheduledJobs }}
{{- if has .name $names }}
{{- $wrong = append $wrong (printf "scheduledJobs: there are two of the name %s" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- $full := printf "%s-%s" (include "emporia.fullname" $) .name }}
{{- if gt (len $full) 52 }}
{{- $wrong = append $wrong (printf "scheduledJobs: %s is longer than the 52 characters that Kubernetes allows" $full) }}
{{- end }}
{{- end }}

{{- if $wrong }}
{{- fail (printf "\n%s" (join "\n" $wrong)) }}
{{- end }}
{{- end }}

{{/* Whether it is known how a store is reached; empty for no. Takes root, store, named (what values say of it) and
variable (of the environment, which may say it too). */}}
{{- define "emporia.reachable" }}
{{- $values := .root.Values }}
{{- $variables := list }}
{{- range concat $values.extraEnv $values.client.extraEnv }}
{{- $variables = append $variables .name }}
{{- end }}
{{- range $values.existingSecrets }}
{{- $variables = concat $variables (keys (.env | default dict)) }}
{{- end }}
{{- if or .named (include "emporia.devStore" .) (has .variable $variables) $values.extraEnvFrom }}yes{{ end }}
{{- end }}

{{/* What is wrong with the location of files; empty for nothing. Takes root and location. */}}
{{- define "emporia.guards.folder" }}
{{- $location := .location }}
{{- $scheme := regexFind "^[A-Za-z][A-Za-z0-9+.-]*:" $location | lower }}
{{- if eq $scheme "hdfs:" }}
{{- $hadoop := .root.Values.stores.hadoop }}
{{- if and (hasPrefix "hdfs:///" $location) (not $hadoop.existingConfigMap) (not (get $hadoop.coreSite "fs.defaultFS")) (not (include "emporia.devStore" (dict "root" .root "store" "hdfs"))) -}}
{{ $location }} names no server, and stores.hadoop.coreSite has no fs.defaultFS
{{- end }}
{{- else if and $scheme (ne $scheme "file:") -}}
{{ $location }} is in no store for files: take hdfs:// or a path on a volume of all processes
{{- else if not (or $scheme (hasPrefix "/" $location)) -}}
{{ $location }} is relative: take hdfs:// or an absolute path on a volume of all processes
{{- else }}
{{- $path := regexReplaceAll "^[A-Za-z]+://(localhost)?" $location "" | clean }}
{{- $without := list }}
{{- range $component := list "scheduler" "executor" "client" }}
{{- $mounted := false }}
{{- range concat $.root.Values.extraVolumeMounts (get $.root.Values $component).extraVolumeMounts }}
{{- if hasPrefix (printf "%s/" (clean .mountPath)) (printf "%s/" $path) }}
{{- $mounted = true }}
{{- end }}
{{- end }}
{{- if not $mounted }}
{{- $without = append $without $component }}
{{- end }}
{{- end }}
{{- $allowed := false }}
{{- range .root.Values.localRoots }}
{{- if hasPrefix (printf "%s/" (clean . | trimSuffix "/")) (printf "%s/" $path) }}
{{- $allowed = true }}
{{- end }}
{{- end }}
{{- if $without -}}
no volume holds {{ $location }} in the pods of {{ join ", " $without }}: add one to extraVolumes and extraVolumeMounts
{{- else if not $allowed -}}
{{ $location }} is in none of localRoots ({{ join ", " .root.Values.localRoots }})
{{- end }}
{{- end }}
{{- end }}
