{{- define "ctlstore.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The release, unless it is named after the chart already. */}}
{{- define "ctlstore.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "ctlstore.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "ctlstore.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* By these pods are found, for ever: a selector cannot be changed. Takes (list $ "component"). */}}
{{- define "ctlstore.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ include "ctlstore.name" $ }}
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "ctlstore.labels" -}}
{{- $ := index . 0 -}}
{{ include "ctlstore.selector" . }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" }}
{{- with $.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "ctlstore.image" -}}
{{- with .Values.image }}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "ctlstore.serviceAccount" -}}
{{- $ := index . 0 }}{{ $component := index . 1 }}{{ $account := (index $.Values $component).serviceAccount -}}
{{- if $account.create }}{{ $account.name | default (printf "%s-%s" (include "ctlstore.fullname" $) $component) }}{{ else }}{{ $account.name | default "default" }}{{ end }}
{{- end }}

{{/* The Secret with a component's URL of ctldb. */}}
{{- define "ctlstore.ctldbSecret" -}}
{{- /* The snapshotter reads the ledger as agents do. */}}
{{- $ := index . 0 }}{{ $own := (index $.Values.ctldb (index . 1 | replace "snapshotter" "agent")).existingSecret -}}
{{- if $.Values.ctldb.embedded.enabled }}{{ include "ctlstore.fullname" $ }}-mysql{{ else }}{{ $own | default $.Values.ctldb.existingSecret }}{{ end }}
{{- end }}

{{/* What all pods of ours hold on to; the image's user has no name on the node. */}}
{{- define "ctlstore.podSecurity" -}}
runAsNonRoot: true
runAsUser: 64000
runAsGroup: 64000
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "ctlstore.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "ctlstore.logArgs" -}}
- --log-filter-file=/etc/ctlstore/log/filter
- --log-format={{ .Values.log.format }}
{{- end }}

{{- define "ctlstore.logVolume" -}}
- name: log
  configMap: {name: {{ include "ctlstore.fullname" . }}-log}
{{- end }}

{{- define "ctlstore.logMount" -}}
- {name: log, mountPath: /etc/ctlstore/log, readOnly: true}
{{- end }}

{{/* The components that run, in one line. */}}
{{- define "ctlstore.components" -}}
operator{{ if .Values.executive.enabled }} executive{{ end }} agent{{ if eq .Values.snapshots.upload "snapshotter" }} snapshotter{{ end }}
{{- end }}

{{/* Where the URL of ctldb is mounted, read-only, under this name whatever its key. */}}
{{- define "ctlstore.ctldbVolume" -}}
{{- $ := index . 0 -}}
- name: ctldb
  secret:
    secretName: {{ required "ctldb: give existingSecret for operator, executive and agent (docs/grants.md), or one for all for a trial, or ctldb.embedded.enabled" (include "ctlstore.ctldbSecret" .) }}
    items: [{key: {{ $.Values.ctldb.key }}, path: url}]
    defaultMode: 0440
{{- end }}

{{/* The probes of the admin port. */}}
{{- define "ctlstore.probes" -}}
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{/* The snapshots' place, with the mounted credentials. */}}
{{- define "ctlstore.snapshotUrl" -}}
{{- with .Values.snapshots -}}
{{ .url }}{{ if .existingSecret }}{{ if contains "?" .url }}&{{ else }}?{{ end }}credentials-file=/etc/ctlstore/snapshots/credentials{{ end }}
{{- end }}
{{- end }}

{{- define "ctlstore.snapshotVolume" -}}
{{- with .Values.snapshots }}
{{- if and .url .existingSecret }}
- name: snapshots
  secret:
    secretName: {{ .existingSecret }}
    items: [{key: {{ .key }}, path: credentials}]
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end }}

{{- define "ctlstore.snapshotMount" -}}
{{- with .Values.snapshots }}
{{- if and .url .existingSecret }}
- {name: snapshots, mountPath: /etc/ctlstore/snapshots, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{/* What a component's values say about its pods. Takes (list $ "component"). */}}
{{- define "ctlstore.placement" -}}
{{- $ := index . 0 }}{{ $component := index . 1 }}{{ $own := index $.Values $component -}}
{{- with $own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $own.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $own.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range $own.topologySpreadConstraints }}
  - {{- toYaml (mustMergeOverwrite (dict "labelSelector" (dict "matchLabels" (include "ctlstore.selector" (list $ $component) | fromYaml))) .) | nindent 4 }}
  {{- end }}
{{- end }}
{{- if $own.affinity }}
affinity: {{- toYaml $own.affinity | nindent 2 }}
{{- else if ne $component "agent" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{- include "ctlstore.selector" . | nindent 14 }}
{{- end }}
{{- with $.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "ctlstore.podMetadata" -}}
{{- $ := index . 0 }}{{ $own := index $.Values (index . 1) -}}
labels:
  {{- include "ctlstore.selector" . | nindent 2 }}
  {{- with merge (dict) $own.podLabels $.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $own.podAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
