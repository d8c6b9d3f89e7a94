{{/* Names, labels, addresses and ports. */}}

{{- define "emporia.ports.scheduler" }}50050{{ end }}
{{- define "emporia.ports.flight" }}50051{{ end }}
{{- define "emporia.ports.tasks" }}50052{{ end }}
{{- define "emporia.ports.health" }}50053{{ end }}

{{- define "emporia.name" }}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for the longest suffix, -scheduler-registration. */}}
{{- define "emporia.fullname" }}
{{- $name := include "emporia.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What selects the pods of a component. Takes root, component, and perhaps role, for pods of a component that
are not all the same. */}}
{{- define "emporia.selector" -}}
app.kubernetes.io/name: {{ include "emporia.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role | default .component }}
{{- end }}

{{/* Labels of pods: a new version of the chart alone does not replace them. Takes root and component. */}}
{{- define "emporia.podLabels" -}}
{{ include "emporia.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/part-of: emporia
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels of objects. Takes root and component. */}}
{{- define "emporia.labels" -}}
{{ include "emporia.podLabels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{/* The label of pods that may talk to scheduler and executors. */}}
{{- define "emporia.clientLabel" -}}
emporia/client-of: {{ include "emporia.fullname" . }}
{{- end }}

{{/* Metadata of an object. Takes root, component, suffix of the name, and perhaps labels and annotations. */}}
{{- define "emporia.metadata" -}}
name: {{ include "emporia.fullname" .root }}{{ .suffix }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "emporia.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Takes root and image (repository, digest). */}}
{{- define "emporia.image" -}}
{{- with .root.Values.global.imageRegistry }}{{ trimSuffix "/" . }}/{{ end }}
{{- .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "emporia.serviceAccountName" }}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "emporia.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* Clients come through the service of the ready scheduler. */}}
{{- define "emporia.schedulerHost" -}}
{{ include "emporia.fullname" . }}-scheduler.{{ .Release.Namespace }}.svc
{{- end }}
{{- define "emporia.schedulerUrl" -}}
http://{{ include "emporia.schedulerHost" . }}:{{ include "emporia.ports.scheduler" . }}
{{- end }}

{{/*
Executors come through a service that also leads to a scheduler that is not ready: without an executor
it never gets ready, and while it drains they still report to it.
*/}}
{{- define "emporia.registrationHost" -}}
{{ include "emporia.fullname" . }}-scheduler-registration.{{ .Release.Namespace }}.svc
{{- end }}
{{- define "emporia.registrationUrl" -}}
http://{{ include "emporia.registrationHost" . }}:{{ include "emporia.ports.scheduler" . }}
{{- end }}

{{/* Whole seconds of a duration such as 30s, 5m or 500ms. */}}
{{- define "emporia.seconds" }}
{{- $number := regexFind "^[0-9]+" . | int64 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- if eq $unit "ms" }}
{{- div $number 1000 }}
{{- else }}
{{- mul $number (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400 "w" 604800 "y" 31536000) $unit) }}
{{- end }}
{{- end }}

{{/* Whether executors are scaled automatically; empty for no. */}}
{{- define "emporia.autoscaled" }}
{{- if or .Values.executor.autoscaling.keda.enabled .Values.executor.autoscaling.hpa.enabled }}yes{{ end }}
{{- end }}

{{/* Whether a store of devStorage is there. Takes root and store; empty for no. */}}
{{- define "emporia.devStore" }}
{{- if and .root.Values.devStorage.enabled (dig .store "enabled" false .root.Values.devStorage) }}yes{{ end }}
{{- end }}
