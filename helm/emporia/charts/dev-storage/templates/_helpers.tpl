{{/* Name of a store's objects; also its host, because the service has no address of its own. Takes root and store. */}}
{{- define "dev-storage.host" -}}
{{ .root.Release.Name }}-{{ .store }}
{{- end }}

{{/* What all pods of this chart have in common. */}}
{{- define "dev-storage.labels" -}}
app.kubernetes.io/name: dev-storage
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Takes root and store. */}}
{{- define "dev-storage.selector" -}}
{{ include "dev-storage.labels" .root }}
app.kubernetes.io/component: {{ .store }}
{{- end }}

{{/* Takes root and store. */}}
{{- define "dev-storage.metadata" -}}
name: {{ include "dev-storage.host" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "dev-storage.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: emporia
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/*
Service, volume and pod of a store. Takes root, store, values (those of the store), user (its number), ports
(by name), containers (name, args, env, probe), mountPath of the volume, and perhaps stateless and volumes.
*/}}
{{- define "dev-storage.store" -}}
{{- $root := .root -}}
{{- $all := . -}}
{{- $values := .values -}}
{{- $persistent := and $root.Values.persistence.enabled (not .stateless) -}}
{{- $of := pick . "root" "store" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "dev-storage.metadata" $of | nindent 2 }}
spec:
  # The name leads to the pod itself: HDFS and HBase hand out their addresses, and their parts find each
  # other before they are ready.
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "dev-storage.selector" $of | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - name: {{ $name }}
      port: {{ $port }}
    {{- end }}
---
{{- if $persistent }}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "dev-storage.metadata" $of | nindent 2 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with $root.Values.persistence.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ $root.Values.persistence.size }}
---
{{- end }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "dev-storage.metadata" $of | nindent 2 }}
spec:
  replicas: 1
  strategy:
    type: Recreate
  selector:
    matchLabels:
      {{- include "dev-storage.selector" $of | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "dev-storage.selector" $of | nindent 8 }}
    spec:
      # The servers register under the name of the host, so it is that of the service.
      hostname: {{ include "dev-storage.host" $of }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      securityContext:
        runAsNonRoot: true
        runAsUser: {{ .user }}
        runAsGroup: {{ .user }}
        fsGroup: {{ .user }}
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile:
          type: RuntimeDefault
      {{- with $root.Values.global.imagePullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      containers:
        {{- range .containers }}
        - name: {{ .name }}
          image: {{ with $root.Values.global.imageRegistry }}{{ trimSuffix "/" . }}/{{ end }}{{ $values.image.repository }}
            {{- if $values.image.digest }}@{{ $values.image.digest }}{{ else }}:{{ $values.image.tag }}{{ end }}
          imagePullPolicy: {{ $root.Values.pullPolicy }}
          {{- with .args }}
          args:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with .env }}
          env:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          startupProbe:
            {{- include "dev-storage.probe" .probe | nindent 12 }}
            failureThreshold: 60
          readinessProbe:
            {{- include "dev-storage.probe" .probe | nindent 12 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - name: data
              mountPath: {{ $all.mountPath }}
            - name: tmp
              mountPath: /tmp
            {{- with .mounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
        {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        - name: data
          {{- if $persistent }}
          persistentVolumeClaim:
            claimName: {{ include "dev-storage.host" $of }}
          {{- else }}
          emptyDir: {}
          {{- end }}
        {{- with .volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end }}

{{/* Takes what is tried. */}}
{{- define "dev-storage.probe" -}}
{{ toYaml . }}
periodSeconds: 10
timeoutSeconds: 15
{{- end }}

{{/* A container of the images in docker/hadoop. Takes name and env. */}}
{{- define "dev-storage.server" -}}
name: {{ .name }}
args: [{{ .name }}]
env:
  {{- toYaml .env | nindent 2 }}
probe:
  exec:
    command: [/usr/local/bin/healthy, {{ .name }}]
{{- end }}
