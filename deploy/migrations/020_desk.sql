-- The desk: findings as they are now and as they were, tickets and every change to them. Written by the api.

-- Newest revision of every finding; `body` is the whole Finding with its evidence.
CREATE TABLE findings (
  id text PRIMARY KEY,
  rev int NOT NULL,
  kind text NOT NULL,
  subtype text NOT NULL DEFAULT '',
  scope_type text NOT NULL,
  scope_id text NOT NULL,
  zone text NOT NULL,
  severity text NOT NULL,
  started_at timestamptz NOT NULL,
  detected_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  cleared_at timestamptz,
  withdrawn boolean NOT NULL DEFAULT false,
  body jsonb NOT NULL
);
CREATE INDEX findings_open ON findings (detected_at DESC, id DESC) WHERE cleared_at IS NULL AND NOT withdrawn;
CREATE INDEX findings_detected ON findings (detected_at DESC, id DESC);
CREATE INDEX findings_kind ON findings (kind, detected_at DESC, id DESC);
CREATE INDEX findings_scope ON findings (scope_id, detected_at DESC);

CREATE TABLE finding_history (
  id text NOT NULL,
  rev int NOT NULL,
  updated_at timestamptz NOT NULL,
  body jsonb NOT NULL,
  PRIMARY KEY (id, rev)
);

-- A key is an incident and has one row for ever, so neither retries nor two consumers nor a replayed log can double a ticket.
-- An incident that returns reopens its row. Times are the log's clock.
CREATE TABLE tickets (
  no bigint GENERATED ALWAYS AS IDENTITY (START WITH 1001) PRIMARY KEY,
  key text NOT NULL UNIQUE,
  class text NOT NULL,
  origin text NOT NULL CHECK (origin IN ('telemetry', 'report')),
  state text NOT NULL,
  priority smallint NOT NULL CHECK (priority BETWEEN 1 AND 4),
  severity text NOT NULL,
  title text NOT NULL,
  description text NOT NULL,
  zone text NOT NULL,
  scope_type text NOT NULL,
  scope_id text NOT NULL,
  lon double precision,
  lat double precision,
  findings text[] NOT NULL DEFAULT '{}',
  affected text[] NOT NULL DEFAULT '{}',
  -- Revision of the incident's intent that was applied last; 0 for a report.
  intent_rev int NOT NULL DEFAULT 0,
  reason text NOT NULL,
  assignee text NOT NULL DEFAULT '',
  merged_into text NOT NULL DEFAULT '',
  opened_ms bigint NOT NULL,
  updated_ms bigint NOT NULL,
  telemetry_closed_ms bigint,
  closed_ms bigint,
  respond_due_ms bigint NOT NULL,
  dispatch_due_ms bigint NOT NULL,
  resolve_due_ms bigint NOT NULL,
  responded_ms bigint,
  dispatched_ms bigint,
  resolved_ms bigint,
  version int NOT NULL,
  -- What a TMF621 client gave and gets back as it was: relatedParty, externalIdentifier, channel, ...
  external jsonb NOT NULL DEFAULT '{}'
);
-- The queue: open tickets by urgency.
CREATE INDEX tickets_queue ON tickets (priority, resolve_due_ms, no)
  WHERE state IN ('received', 'reviewed', 'dispatched', 'in_progress', 'verify', 'resolved', 'confirmed');
CREATE INDEX tickets_updated ON tickets (updated_ms DESC, no DESC);
CREATE INDEX tickets_state ON tickets (state, no DESC);
CREATE INDEX tickets_class ON tickets (class, no DESC);
CREATE INDEX tickets_scope ON tickets (scope_id, no DESC);

CREATE TABLE ticket_changes (
  ticket_no bigint NOT NULL REFERENCES tickets (no),
  version int NOT NULL,
  at_ms bigint NOT NULL,
  who text NOT NULL,
  action text NOT NULL,
  from_state text,
  to_state text NOT NULL,
  reason text NOT NULL,
  note text NOT NULL DEFAULT '',
  -- Idempotency-Key of the command that made it.
  command text,
  PRIMARY KEY (ticket_no, version),
  UNIQUE (ticket_no, command)
);

-- Where a district or feeder without a shape of its own lies: the middle of its parts.
CREATE INDEX assets_area ON assets ((coalesce(properties->>'dma', properties->>'feeder', properties->>'transformer')));

-- A report repeated with the same Idempotency-Key finds its ticket.
CREATE TABLE ticket_reports (
  command text PRIMARY KEY,
  ticket_no bigint NOT NULL REFERENCES tickets (no)
);
