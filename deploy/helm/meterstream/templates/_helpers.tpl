{{- define "meterstream.labels" -}}
app.kubernetes.io/name: meterstream
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "meterstream.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "meterstream.pod" -}}
automountServiceAccountToken: false
securityContext: { runAsNonRoot: true, runAsUser: 10001, runAsGroup: 10001, fsGroup: 10001, seccompProfile: { type: RuntimeDefault } }
terminationGracePeriodSeconds: 45
volumes:
  - { name: tmp, emptyDir: { sizeLimit: 1Gi } }
  {{- if .Values.caSecretName }}
  - { name: ca, secret: { secretName: {{ .Values.caSecretName }} } }
  {{- end }}
  {{- if .Values.settings }}
  - { name: settings, configMap: { name: {{ .Release.Name }}-settings } }
  {{- end }}
{{- end }}

{{- define "meterstream.container" -}}
image: {{ include "meterstream.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
envFrom:
  - configMapRef: { name: {{ .root.Release.Name }}-config }
  - secretRef: { name: {{ .root.Values.secretName }} }
volumeMounts:
  - { name: tmp, mountPath: /tmp }
  {{- if .root.Values.caSecretName }}
  - { name: ca, mountPath: /etc/meterstream/ca, readOnly: true }
  {{- end }}
  {{- if .root.Values.settings }}
  - { name: settings, mountPath: /etc/meterstream/settings, readOnly: true }
  {{- end }}
{{- end }}

{{- define "meterstream.probes" -}}
ports: [{ name: http, containerPort: {{ .port }} }]
startupProbe: { httpGet: { path: /health/live, port: http }, periodSeconds: 5, failureThreshold: 60 }
livenessProbe: { httpGet: { path: /health/live, port: http }, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5 }
readinessProbe: { httpGet: { path: /health/ready, port: http }, periodSeconds: 10, timeoutSeconds: 5 }
{{- end }}
