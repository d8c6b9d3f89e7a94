{{/* The configuration file. */}}

{{/* A text as TOML: what JSON escapes, TOML understands. */}}
{{- define "emporia.toml.value" }}
{{- if kindIs "string" . }}
{{- toJson . }}
{{- else if kindIs "slice" . }}
{{- toJson . }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}
{{- int64 . }}
{{- else }}
{{- . }}
{{- end }}
{{- end }}

{{/* Takes name and values. */}}
{{- define "emporia.toml.section" -}}
[{{ .name }}]
{{- range $key, $value := .values }}
{{ $key }} = {{ include "emporia.toml.value" $value }}
{{- end }}
{{- end }}

{{- define "emporia.hasHadoop" }}
{{- $hadoop := .Values.stores.hadoop }}
{{- if or $hadoop.coreSite $hadoop.hdfsSite $hadoop.existingConfigMap (include "emporia.devStore" (dict "root" . "store" "hdfs")) }}yes{{ end }}
{{- end }}

{{- define "emporia.hadoopConfigMap" }}
{{- .Values.stores.hadoop.existingConfigMap | default (printf "%s-hadoop" (include "emporia.fullname" .)) }}
{{- end }}

{{/* How MongoDB is reached: uri, uriSecret, user and passwordSecret, as below `stores` or as devStorage makes it. */}}
{{- define "emporia.mongodb" }}
{{- $mongodb := .Values.stores.mongodb }}
{{- if include "emporia.devStore" (dict "root" . "store" "mongodb") }}
{{- $host := include "dev-storage.host" (dict "root" . "store" "mongodb") }}
{{- $secret := .Values.devStorage.mongodb.passwordSecret }}
{{- if $secret.name }}
{{- $mongodb = dict "uri" (printf "mongodb://%s:27017/?authSource=admin" $host) "user" "emporia" "passwordSecret" $secret "uriSecret" dict }}
{{- else }}
{{- $mongodb = dict "uri" (printf "mongodb://%s:27017/" $host) "user" "" "passwordSecret" $secret "uriSecret" dict }}
{{- end }}
{{- end }}
{{- toYaml $mongodb }}
{{- end }}

{{/* Section [stores], the same for every process, but that scheduler and executors, who work for others, use no other
local files than tables. Holds no secret. Takes root and set, the settings of the process. */}}
{{- define "emporia.config.stores" }}
{{- $set := .set }}
{{- with .root }}
{{- $stores := .Values.stores }}
{{- if include "emporia.hasHadoop" . }}
{{- $_ := set $set "hadoop_conf_dir" "/etc/hadoop/conf" }}
{{- end }}
{{- $user := $stores.hdfs.user }}
{{- if and (not $user) (include "emporia.devStore" (dict "root" . "store" "hdfs")) }}
{{- $user = "emporia" }}
{{- end }}
{{- with $user }}
{{- $_ := set $set "hdfs_user" . }}
{{- end }}
{{- $gateways := $stores.hbase.gateways }}
{{- $admin := $stores.hbase.adminGateway }}
{{- if include "emporia.devStore" (dict "root" . "store" "hbase") }}
{{- $gateways = list (printf "%s:9090" (include "dev-storage.host" (dict "root" . "store" "hbase"))) }}
{{- $admin = printf "%s:9090" (include "dev-storage.host" (dict "root" . "store" "hbase-admin")) }}
{{- end }}
{{- with $gateways }}
{{- $_ := set $set "hbase_gateways" (join "," .) }}
{{- end }}
{{- with $admin }}
{{- $_ := set $set "hbase_admin_gateway" . }}
{{- end }}
{{- if $stores.hbase.tls.enabled }}
{{- $_ := set $set "hbase_tls" true }}
{{- if $stores.hbase.tls.caSecret.name }}
{{- $_ := set $set "hbase_tls_ca" "/etc/emporia/hbase-ca/ca.crt" }}
{{- end }}
{{- end }}
{{- $mongodb := include "emporia.mongodb" . | fromYaml }}
{{- with $mongodb.uri }}
{{- $_ := set $set "mongodb_uri" . }}
{{- end }}
{{- if $mongodb.uriSecret.name }}
{{- $_ := set $set "mongodb_uri_file" "/etc/emporia/mongodb-uri/uri" }}
{{- end }}
{{- with $mongodb.user }}
{{- $_ := set $set "mongodb_user" . }}
{{- end }}
{{- if $mongodb.passwordSecret.name }}
{{- $_ := set $set "mongodb_password_file" "/etc/emporia/mongodb/password" }}
{{- end }}
{{- include "emporia.toml.section" (dict "name" "stores" "values" (merge $set .Values.config.stores)) }}
{{- end }}
{{- end }}

{{- define "emporia.config.stores.service" }}
{{- include "emporia.config.stores" (dict "root" . "set" (dict "local_roots" (join "," .Values.localRoots))) }}
{{- end }}

{{- define "emporia.config.scheduler" }}
{{- $set := dict
  "bind_host" "0.0.0.0"
  "bind_port" (include "emporia.ports.scheduler" . | int)
  "external_host" (include "emporia.registrationHost" .)
  "drain_timeout" (printf "%ds" (int64 .Values.scheduler.drain.deadlineSeconds))
  "executor_termination_grace_period" (printf "%ds" (int64 .Values.executor.drain.schedulerGraceSeconds)) }}
{{- if hasKey .Values.config.scheduler "speculation" }}
{{- /* YAML reads `on` and `off` without quotes as truth values. */}}
{{- $_ := set $set "speculation" (ternary "on" "off" (has (toString .Values.config.scheduler.speculation) (list "on" "true"))) }}
{{- end }}
{{- if .Values.scheduler.eventLog.enabled }}
{{- $_ := set $set "event_log_dir" "/events" }}
{{- end }}
{{- include "emporia.toml.section" (dict "name" "scheduler" "values" (merge $set .Values.config.scheduler)) }}

{{ include "emporia.config.stores.service" . }}
{{- end }}

{{- define "emporia.config.executor" }}
{{- $set := dict
  "bind_host" "0.0.0.0"
  "flight_port" (include "emporia.ports.flight" . | int)
  "grpc_port" (include "emporia.ports.tasks" . | int)
  "health_port" (include "emporia.ports.health" . | int)
  "scheduler_url" (include "emporia.registrationUrl" .)
  "work_dir" "/work"
  "drain_timeout" (printf "%ds" (int64 .Values.executor.drain.deadlineSeconds)) }}
{{- include "emporia.toml.section" (dict "name" "executor" "values" (merge $set .Values.config.executor)) }}

{{ include "emporia.config.stores.service" . }}
{{- end }}

{{- define "emporia.config.client" }}
{{- with .Values.warehouse }}
warehouse = {{ include "emporia.toml.value" . }}

{{ end }}
{{- $set := dict "cluster" (include "emporia.schedulerUrl" .) }}
{{- include "emporia.toml.section" (dict "name" "client" "values" (merge $set .Values.config.client)) }}

{{ include "emporia.config.stores" (dict "root" . "set" dict) }}
{{- range $name, $table := .Values.tables }}

{{ include "emporia.toml.section" (dict "name" (printf "tables.%s" (toJson $name)) "values" (omit $table "options")) }}
{{- with $table.options }}

{{ include "emporia.toml.section" (dict "name" (printf "tables.%s.options" (toJson $name)) "values" .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* A ConfigMap with the file of one process. Takes root and component. */}}
{{- define "emporia.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "emporia.metadata" (dict "root" .root "component" .component "suffix" (printf "-%s" .component)) | nindent 2 }}
data:
  emporia.toml: |
    {{- include (printf "emporia.config.%s" .component) .root | nindent 4 }}
  {{- with .root.Values.extraConfigFiles }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
