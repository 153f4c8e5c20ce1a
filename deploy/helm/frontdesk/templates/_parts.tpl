{{/* The name of everything: the release's, unless it says frontdesk already or not at all. */}}
{{- define "frontdesk.name" -}}
{{- if contains "frontdesk" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-frontdesk" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "frontdesk.selector" -}}
app.kubernetes.io/name: frontdesk
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "frontdesk.labels" -}}
{{ include "frontdesk.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "frontdesk.image" -}}
{{- $repository := required "image.repository: name the image that you built and pushed, as registry.example/frontdesk" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "frontdesk.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "frontdesk.name" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* Which keys of the Secret a role gets, as a list behind "keys". */}}
{{- define "frontdesk.keys" -}}
{{- $s := .root.Values.secrets -}}
{{- $keys := list "redis-url" -}}
{{- $registers := or (eq .role "registrar") (and (eq .role "console") .root.Values.console.hooks) -}}
{{- if or (eq .role "receiver") $registers -}}{{- $keys = append $keys "url-keys" -}}{{- end -}}
{{- if and $s.webhookSecrets (has .role (list "receiver" "registrar" "console")) -}}
{{- $keys = append $keys "webhook-secrets" -}}
{{- end -}}
{{- if or $registers (and (eq .role "worker") .root.Values.worker.nexudus) -}}
{{- $keys = append $keys (ternary "nexudus-token" "nexudus-password" $s.nexudusToken) -}}
{{- if and $s.nexudusTotp (not $s.nexudusToken) -}}{{- $keys = append $keys "nexudus-totp" -}}{{- end -}}
{{- end -}}
{{- if and (has .role (list "worker" "registrar")) $s.alertUrls -}}{{- $keys = append $keys "alert-urls" -}}{{- end -}}
{{- if eq .role "console" -}}
{{- if $s.adminToken -}}{{- $keys = append $keys "admin-token" -}}{{- end -}}
{{- if $s.viewerToken -}}{{- $keys = append $keys "viewer-token" -}}{{- end -}}
{{- end -}}
{{- dict "keys" $keys | toJson -}}
{{- end -}}

{{/* The labels of a role's pods; its selector is among them. */}}
{{- define "frontdesk.podLabels" -}}
{{ include "frontdesk.labels" . }}
{{- with .of.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* By which labels the metrics of this release are found. */}}
{{- define "frontdesk.matchers" -}}
{{- .Values.metricsMatchers | trimSuffix "," | default (printf "namespace=%q,release=%q" .Release.Namespace .Release.Name) -}}
{{- end -}}

{{/* An expression for Prometheus, each of whose metrics is that of this release only. */}}
{{- define "frontdesk.matched" -}}
{{- $matchers := include "frontdesk.matchers" .root | replace "$" "$$" -}}
{{- $some := regexReplaceAll "\\b(frontdesk_[a-z_]+)\\{" .expr (printf "${1}{%s," $matchers) -}}
{{- regexReplaceAll "\\b(frontdesk_[a-z_]+)([^a-z_{]|$)" $some (printf "${1}{%s}${2}" $matchers) -}}
{{- end -}}

{{/* What the pods of all roles have in common, above their containers. */}}
{{- define "frontdesk.pod" -}}
serviceAccountName: {{ include "frontdesk.serviceAccount" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .root.Values.runAsUser }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
  fsGroup: {{ int64 . }}
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .of.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .of.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .of.affinity }}
affinity: {{ toJson . }}
{{- end }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "frontdesk.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* What the container of every role has in common, below its name and arguments. */}}
{{- define "frontdesk.container" -}}
image: {{ include "frontdesk.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{ toJson .of.resources }}
volumeMounts:
  - {name: data, mountPath: /var/lib/frontdesk}
  - {name: routes, mountPath: /etc/frontdesk, readOnly: true}
  - {name: secrets, mountPath: /run/secrets/frontdesk, readOnly: true}
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* The environment of a role: its secrets as files, then what is set for all. */}}
{{- define "frontdesk.env" -}}
{{- range (include "frontdesk.keys" . | fromJson).keys }}
- {name: FRONTDESK_{{ . | upper | replace "-" "_" }}_FILE, value: /run/secrets/frontdesk/{{ . }}}
{{- end }}
{{- if or (eq .role "registrar") (and (eq .role "console") .root.Values.console.hooks) }}
- {name: FRONTDESK_PUBLIC_URL, value: {{ required "publicUrl: say where Nexudus reaches the receivers, as https://hooks.example.com" .root.Values.publicUrl | quote }}}
{{- end }}
{{- if or (eq .role "registrar") (and (eq .role "console") .root.Values.console.hooks) (and (eq .role "worker") .root.Values.worker.nexudus) }}
- {name: FRONTDESK_NEXUDUS_URL, value: {{ .root.Values.nexudus.url | quote }}}
{{- if not .root.Values.secrets.nexudusToken }}
- {name: FRONTDESK_NEXUDUS_USERNAME, value: {{ required "nexudus.username: name the API user, or set secrets.nexudusToken" .root.Values.nexudus.username | quote }}}
{{- end }}
{{- end }}
{{- range $name, $value := .root.Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- with .root.Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The environment of handlers: what `env` has for all roles is not to come twice. */}}
{{- define "frontdesk.handlersEnv" -}}
{{- range .root.Values.worker.env }}
{{- $name := .name }}
{{- range $.root.Values.env }}
{{- if eq .name $name }}{{ fail (printf "worker.env: %s stands in env too; keep one" $name) }}{{ end }}
{{- end }}
{{- end }}
{{- include "frontdesk.env" . }}
{{- with .root.Values.worker.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What shows that a process without a port still goes round: it touches a file again and again. */}}
{{- define "frontdesk.alive" -}}
exec: {command: [/bin/sh, -c, 'test -n "$(find /var/lib/frontdesk/{{ .file }} -mmin -{{ .minutes }})"']}
timeoutSeconds: 5
{{- end -}}

{{/* The volumes of a role; the receiver's data is a claim, not one of these. */}}
{{- define "frontdesk.volumes" -}}
- name: routes
  configMap: {name: {{ .root.Values.existingRoutes | default (printf "%s-routes" (include "frontdesk.name" .root)) }}}
- name: secrets
  secret:
    secretName: {{ .root.Values.secrets.name }}
    defaultMode: 0440
    items:
      {{- range (include "frontdesk.keys" . | fromJson).keys }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
      {{- if .root.Values.secrets.redisCA }}
      - {key: redis-ca.crt, path: redis-ca.crt}
      {{- end }}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- end -}}

{{/* The disk of a receiver. Kubernetes refuses a set whose claims would change, so what the set has stays. */}}
{{- define "frontdesk.disk" -}}
{{- $disk := pick .Values.receiver.spool "size" "storageClass" -}}
{{- $set := lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-receiver" (include "frontdesk.name" .)) -}}
{{- range dig "spec" "volumeClaimTemplates" list $set -}}
{{- $disk = dict "size" .spec.resources.requests.storage "storageClass" (.spec.storageClassName | default "") -}}
{{- end -}}
{{- toJson $disk -}}
{{- end -}}
