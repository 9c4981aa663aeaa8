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

{{/* These labels never change for a release, because a Deployment's selector cannot be edited. */}}
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

{{/* The operator's rights in the namespaces that it serves. deploy/ grants the same. */}}
{{- define "cognigy-operator.rules" -}}
# `patch` writes the finalizer. `get` reads the resource again after a conflict.
- apiGroups: [deploy.cognigy.ai]
  resources: [cognigydeployments]
  verbs: [get, list, watch, patch]
- apiGroups: [deploy.cognigy.ai]
  resources: [cognigydeployments/status]
  verbs: [update]
# Decisions of people. `create` is for dry runs only: the operator tries to forge a decision, to learn if the admission policy
# refuses that. `delete` removes old ones.
- apiGroups: [deploy.cognigy.ai]
  resources: [cognigydecisions]
  verbs: [list, watch, create, delete]
- apiGroups: [deploy.cognigy.ai]
  resources: [cognigydecisions/status]
  verbs: [patch]
{{ include "cognigy-operator.windowRules" . }}
# The operator reads Secrets by the name that a resource gives. It cannot list or watch them, so it cannot find out which
# Secrets exist.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
# ConfigMaps with snapshots. `list` and `watch` are for those with the label deploy.cognigy.ai/watch.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* Change windows. Those in the operator's own namespace apply to all namespaces. */}}
{{- define "cognigy-operator.windowRules" -}}
- apiGroups: [deploy.cognigy.ai]
  resources: [changewindows]
  verbs: [list, watch]
- apiGroups: [deploy.cognigy.ai]
  resources: [changewindows/status]
  verbs: [patch]
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
{{- if .Values.metrics.resourceMetrics }}
- --resource-metrics
{{- end }}
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
# The name of the pod in events and in the Lease.
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
# The operator trusts every certificate in these folders: those of the image and those of the bundle.
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

{{/* The constraints. One without a selector gets a selector for the operator's own pods. */}}
{{- define "cognigy-operator.spread" -}}
{{- $constraints := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "cognigy-operator.selectorLabels" $ | fromYaml)) -}}
{{- $constraints = append $constraints (merge (deepCopy .) $own) -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end -}}

{{/* Refuses combinations of values that a schema cannot check. */}}
{{- define "cognigy-operator.check" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicas is above 1, but leaderElection.enabled is false: two operators would act at the same time; enable it or set replicas to 1" -}}
{{- end -}}
{{- if and .Values.caBundle.configMap .Values.caBundle.secret -}}
{{- fail "caBundle.configMap and caBundle.secret are both set: set only one of them" -}}
{{- end -}}
{{- if and .Values.credentials.namespaces (not .Values.credentials.existingSecret) -}}
{{- fail "credentials.namespaces is set, but credentials.existingSecret is empty: name the Secret with the credentials" -}}
{{- end -}}
{{- if and .Values.webhook.namespaces (not .Values.webhook.existingSecret) -}}
{{- fail "webhook.namespaces is set, but webhook.existingSecret is empty: name the Secret with the URL of the webhook" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor and metrics.podMonitor are both enabled: Prometheus would scrape each pod twice; enable only one of them" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) -}}
{{- fail "metrics.serviceMonitor needs metrics.service.enabled; without a Service, use metrics.podMonitor" -}}
{{- end -}}
{{- end -}}
