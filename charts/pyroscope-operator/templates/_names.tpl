{{- define "operator.labels" -}}
app.kubernetes.io/name: pyroscope-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "operator.serviceAccount" -}}
{{- default .Release.Name .Values.serviceAccount.name }}
{{- end }}

{{- define "operator.rules" -}}
- apiGroups: [pyroscope-operator.dev]
  resources: [pyroscopeclusters]
  verbs: [get, list, watch]
- apiGroups: [pyroscope-operator.dev]
  resources: [pyroscopeclusters/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [services, configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [statefulsets, deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# Volumes grow; they are made and deleted by the StatefulSet controller.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [list, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
