{{/* Values that contradict each other. The schema cannot see them; all are reported at once. */}}

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

{{- /* Scaling. */}}
{{- if and $executor.autoscaling.keda.enabled $executor.autoscaling.hpa.enabled }}
{{- $wrong = append $wrong "executor.autoscaling.keda and executor.autoscaling.hpa exclude each other: both would set the number of executors" }}
{{- end }}
{{- if and (include "emporia.autoscaled" .) (gt (int64 $executor.autoscaling.minReplicas) (int64 $executor.autoscaling.maxReplicas)) }}
{{- $wrong = append $wrong (printf "executor.autoscaling.minReplicas (%d) must not be above maxReplicas (%d)" (int64 $executor.autoscaling.minReplicas) (int64 $executor.autoscaling.maxReplicas)) }}
{{- end }}
{{- if and (eq (toString $executor.rollingUpdate.maxSurge | trimSuffix "%") "0") (eq (toString $executor.rollingUpdate.maxUnavailable | trimSuffix "%") "0") }}
{{- $wrong = append $wrong "executor.rollingUpdate.maxSurge and maxUnavailable must not both be 0: no executor could be replaced" }}
{{- end }}

{{- /* Ways in. */}}
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
