{{/* What the pods of scheduler, executors and client have in common. Each takes root and component; */}}
{{/* the values of the component are below the key of its name. */}}

{{/* Metadata of a pod template. Pods are replaced when a file of theirs changes, but for the shell: it reads the new
file at the next command. */}}
{{- define "emporia.pod.metadata" -}}
{{- $values := get .root.Values .component -}}
labels:
  {{- include "emporia.podLabels" . | nindent 2 }}
  {{- if eq .component "client" }}
  {{- include "emporia.clientLabel" .root | nindent 2 }}
  {{- end }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $checksums := dict }}
{{- if not .role }}
{{- $_ := set $checksums "checksum/config" (include (printf "emporia.config.%s" .component) .root | sha256sum) }}
{{- if include "emporia.hasHadoop" .root }}
{{- $_ := set $checksums "checksum/hadoop" (include "emporia.hadoop" .root | sha256sum) }}
{{- end }}
{{- with .root.Values.extraConfigFiles }}
{{- $_ := set $checksums "checksum/files" (toJson . | sha256sum) }}
{{- end }}
{{- end }}
{{- with merge $checksums $values.podAnnotations .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "emporia.pod.spec" -}}
{{- $values := get .root.Values .component -}}
serviceAccountName: {{ include "emporia.serviceAccountName" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .root.Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if not .root.Values.hostUsers }}
hostUsers: false
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "emporia.pod.container" -}}
{{- $values := get .root.Values .component -}}
image: {{ include "emporia.image" (dict "root" .root "image" $values.image) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
{{- end }}

{{/* Also takes env, a list of variables, and last, one of variables that come after all others and win. */}}
{{- define "emporia.pod.environment" -}}
{{- $root := .root -}}
{{- $values := get .root.Values .component -}}
env:
  - name: EMPORIA_CONFIG
    value: /etc/emporia/config/emporia.toml
  {{- with .env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- range $secret := $root.Values.existingSecrets }}
  {{- range $variable, $key := $secret.env }}
  - name: {{ $variable }}
    valueFrom:
      secretKeyRef:
        name: {{ $secret.name }}
        key: {{ $key }}
  {{- end }}
  {{- end }}
  {{- with concat $root.Values.extraEnv $values.extraEnv (.last | default list) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with concat $root.Values.extraEnvFrom $values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "emporia.pod.mounts" -}}
{{- $root := .root -}}
{{- $values := get .root.Values .component -}}
- name: config
  mountPath: /etc/emporia/config
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if include "emporia.hasHadoop" $root }}
- name: hadoop
  mountPath: /etc/hadoop/conf
  readOnly: true
{{- end }}
{{- if (include "emporia.mongodb" $root | fromYaml).passwordSecret.name }}
- name: mongodb-password
  mountPath: /etc/emporia/mongodb
  readOnly: true
{{- end }}
{{- if (include "emporia.mongodb" $root | fromYaml).uriSecret.name }}
- name: mongodb-uri
  mountPath: /etc/emporia/mongodb-uri
  readOnly: true
{{- end }}
{{- if $root.Values.stores.hbase.tls.caSecret.name }}
- name: hbase-ca
  mountPath: /etc/emporia/hbase-ca
  readOnly: true
{{- end }}
{{- range $index, $secret := $root.Values.existingSecrets }}
{{- with $secret.mountPath }}
- name: secret-{{ $index }}
  mountPath: {{ . }}
  readOnly: true
{{- end }}
{{- end }}
{{- with concat $root.Values.extraVolumeMounts $values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "emporia.pod.volumes" -}}
{{- $root := .root -}}
{{- $values := get .root.Values .component -}}
- name: config
  configMap:
    name: {{ include "emporia.fullname" $root }}-{{ .component }}
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
{{- if include "emporia.hasHadoop" $root }}
- name: hadoop
  configMap:
    name: {{ include "emporia.hadoopConfigMap" $root }}
{{- end }}
{{- with (include "emporia.mongodb" $root | fromYaml).passwordSecret }}
{{- if .name }}
- name: mongodb-password
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: password
{{- end }}
{{- end }}
{{- with (include "emporia.mongodb" $root | fromYaml).uriSecret }}
{{- if .name }}
- name: mongodb-uri
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: uri
{{- end }}
{{- end }}
{{- with $root.Values.stores.hbase.tls.caSecret }}
{{- if .name }}
- name: hbase-ca
  secret:
    secretName: {{ .name }}
    items:
      - key: {{ .key }}
        path: ca.crt
{{- end }}
{{- end }}
{{- range $index, $secret := $root.Values.existingSecrets }}
{{- if $secret.mountPath }}
- name: secret-{{ $index }}
  secret:
    secretName: {{ $secret.name }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- with concat $root.Values.extraVolumes $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Constraints without a selector are about the pods of the component. */}}
{{- define "emporia.pod.spread" -}}
{{- with (get .root.Values .component).topologySpreadConstraints -}}
topologySpreadConstraints:
  {{- range . }}
  {{- $selector := dict "labelSelector" (dict "matchLabels" (include "emporia.selector" $ | fromYaml)) }}
  - {{- toYaml (merge (deepCopy .) $selector) | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* All three probes: alive asks /healthz, ready /readyz. Takes probes and the name of the port. */}}
{{- define "emporia.pod.probes" -}}
startupProbe:
  {{- include "emporia.pod.probe" (dict "timing" .probes.startup "path" "/healthz" "port" .port) | nindent 2 }}
livenessProbe:
  {{- include "emporia.pod.probe" (dict "timing" .probes.liveness "path" "/healthz" "port" .port) | nindent 2 }}
readinessProbe:
  {{- include "emporia.pod.probe" (dict "timing" .probes.readiness "path" "/readyz" "port" .port) | nindent 2 }}
{{- end }}

{{- define "emporia.pod.probe" -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
{{ toYaml .timing }}
{{- end }}
