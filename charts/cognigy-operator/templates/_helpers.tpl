{{- define "cognigy-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 characters, so that the longest suffix fits into a name of 63. */}}
{{- define "cognigy-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "cognigy-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "cognigy-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What never changes for a release: a Deployment's selector cannot be edited. */}}
{{- define "cognigy-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cognigy-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "cognigy-operator.simulator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cognigy-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: simulator
{{- end -}}

{{- define "cognigy-operator.sharedLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: cognigy-operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cognigy-operator.labels" -}}
{{ include "cognigy-operator.selectorLabels" . }}
{{ include "cognigy-operator.sharedLabels" . }}
{{- end -}}

{{- define "cognigy-operator.simulator.labels" -}}
{{ include "cognigy-operator.simulator.selectorLabels" . }}
{{ include "cognigy-operator.sharedLabels" . }}
{{- end -}}

{{- define "cognigy-operator.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the operator does in the namespaces it serves; deploy/ grants the same. */}}
{{- define "cognigy-operator.rules" -}}
# The finalizer is written by a patch; a write that somebody else was ahead of reads the resource by itself.
- apiGroups: [deploy.cognigy.ai]
  resources: [cognigydeployments]
  verbs: [get, list, watch, patch]
- apiGroups: [deploy.cognigy.ai]
  resources: [cognigydeployments/status]
  verbs: [update]
# By name, as a resource names them: no list and no watch, so that nobody learns which Secrets there are.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
# The snapshots that resources name; list and watch are for those with the label deploy.cognigy.ai/watch.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{- define "cognigy-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "cognigy-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- define "cognigy-operator.simulator.host" -}}
{{- printf "%s-simulator.%s.svc:8090" (include "cognigy-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "cognigy-operator.arguments" -}}
- run
- --metrics-addr={{ .Values.metrics.host }}:{{ .Values.metrics.port }}
- --log-format={{ .Values.log.format }}
{{- range .Values.namespaces }}
- --namespace={{ . }}
{{- end }}
{{- with .Values.leaderElection }}
{{- if .enabled }}
- --leader-elect
- --lease-duration={{ .leaseDuration }}
- --renew-deadline={{ .renewDeadline }}
- --retry-period={{ .retryPeriod }}
{{- end }}
{{- end }}
- --base-url={{ .Values.api.baseUrl }}
- --token-url={{ .Values.api.tokenUrl }}
- --requests-per-minute={{ .Values.api.requestsPerMinute }}
{{- range .Values.credentials.namespaces }}
- --default-credentials-namespace={{ . }}
{{- end }}
{{- range .Values.webhook.namespaces }}
- --default-webhook-namespace={{ . }}
{{- end }}
{{- range .Values.egress.allow }}
- --egress-allow={{ . }}
{{- end }}
{{- if .Values.simulator.enabled }}
- --egress-allow={{ include "cognigy-operator.simulator.host" . }}
{{- end }}
{{- with .Values.egress.httpsProxy }}
- --https-proxy={{ . }}
{{- end }}
{{- with .Values.rollouts }}
- --deletion-grace={{ .deletionGrace }}
- --submit-key-ttl={{ .submitKeyTtl }}
- --submit-idempotency={{ .submitIdempotency }}
{{- end }}
- --relist-interval={{ .Values.watch.relistInterval }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cognigy-operator.environment" -}}
# Events and the Lease name the pod.
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: RUST_LOG
  value: {{ .Values.log.level | quote }}
{{- with .Values.credentials }}
{{- if .existingSecret }}
- name: COGNIGY_CLIENT_ID
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .clientIdKey | quote }}}
- name: COGNIGY_CLIENT_SECRET
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .clientSecretKey | quote }}}
{{- end }}
{{- end }}
{{- with .Values.webhook }}
{{- if .existingSecret }}
- name: CI_CD_WEBHOOK_URL
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .urlKey | quote }}}
{{- end }}
{{- end }}
{{- if include "cognigy-operator.hasBundle" . }}
# Every certificate in these folders is trusted: the image's own, and the bundle's.
- name: SSL_CERT_DIR
  value: /etc/ssl/certs:/etc/cognigy-operator/ca
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cognigy-operator.hasBundle" -}}
{{- if or .Values.caBundle.configMap .Values.caBundle.secret -}}true{{- end -}}
{{- end -}}

{{/* The constraints, with the operator's own pods where one has no selector. */}}
{{- define "cognigy-operator.spread" -}}
{{- $constraints := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "cognigy-operator.selectorLabels" $ | fromYaml)) -}}
{{- $constraints = append $constraints (merge (deepCopy .) $own) -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end -}}

{{/* What schemas cannot tell: values that do not go together. */}}
{{- define "cognigy-operator.check" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicas is above 1 without leaderElection.enabled: two operators would get in each other's way" -}}
{{- end -}}
{{- if and .Values.caBundle.configMap .Values.caBundle.secret -}}
{{- fail "caBundle names a ConfigMap and a Secret: name one of them" -}}
{{- end -}}
{{- if and .Values.credentials.namespaces (not .Values.credentials.existingSecret) -}}
{{- fail "credentials.namespaces offers credentials that credentials.existingSecret does not name" -}}
{{- end -}}
{{- if and .Values.webhook.namespaces (not .Values.webhook.existingSecret) -}}
{{- fail "webhook.namespaces offers a webhook that webhook.existingSecret does not name" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled -}}
{{- fail "metrics has a ServiceMonitor and a PodMonitor enabled: every sample would be there twice" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) -}}
{{- fail "metrics.serviceMonitor needs metrics.service.enabled; a PodMonitor needs no Service" -}}
{{- end -}}
{{- end -}}
