-- Incidents without a ticket of their own, and why: the newest decision of each. What has a ticket carries its reasons there.
CREATE TABLE incident_decisions (
  key text PRIMARY KEY,
  zone text NOT NULL,
  scope_type text NOT NULL,
  scope_id text NOT NULL,
  findings text[] NOT NULL,
  -- Named reasons of the stages: {group, inhibit, silence, decide}.
  why jsonb NOT NULL,
  muted_by text NOT NULL DEFAULT '',
  at_ms bigint NOT NULL
);
CREATE INDEX incident_decisions_findings ON incident_decisions USING gin (findings);
CREATE INDEX incident_decisions_at ON incident_decisions (at_ms DESC);
