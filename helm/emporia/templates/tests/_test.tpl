{{/* Pods of `helm test`. All run the client's image, which has a shell beside the program. They stay until the next test:
`helm test --logs` reads their logs when all have ended. */}}

{{/* Takes root, component and suffix. */}}
{{- define "emporia.test.metadata" -}}
{{- $annotations := dict "helm.sh/hook" "test" "helm.sh/hook-delete-policy" "before-hook-creation" }}
{{- include "emporia.metadata" (merge (dict "annotations" $annotations) .) }}
{{- end }}

{{/* Takes root, name, component (`client`, or another for a pod that is none), args, and perhaps command. */}}
{{- define "emporia.test.pod" -}}
{{- $of := dict "root" .root "component" "client" -}}
{{- $labels := ternary (include "emporia.clientLabel" .root | fromYaml) (dict) (eq .component "client") -}}
apiVersion: v1
kind: Pod
metadata:
  {{- include "emporia.test.metadata" (dict "root" .root "component" .component "suffix" (printf "-test-%s" .name) "labels" $labels) | nindent 2 }}
spec:
  {{- include "emporia.pod.spec" $of | nindent 2 }}
  restartPolicy: Never
  containers:
    - name: test
      {{- include "emporia.pod.container" $of | nindent 6 }}
      {{- with .command }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      args:
        {{- toYaml .args | nindent 8 }}
      {{- include "emporia.pod.environment" $of | nindent 6 }}
      resources:
        {{- toYaml .root.Values.client.resources | nindent 8 }}
      volumeMounts:
        {{- include "emporia.pod.mounts" $of | nindent 8 }}
  volumes:
    {{- include "emporia.pod.volumes" $of | nindent 4 }}
{{- end }}
