-- The desk in full: settings, limits and clocks, whom a ticket concerns, reports of customers, notices, crews, call-backs.

-- One row: what the utility decided. `{}` means the defaults.
CREATE TABLE desk_settings (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version int NOT NULL DEFAULT 0,
  body jsonb NOT NULL DEFAULT '{}',
  who text NOT NULL DEFAULT '',
  at timestamptz
);
INSERT INTO desk_settings DEFAULT VALUES;
CREATE TABLE desk_settings_history (
  version int PRIMARY KEY,
  body jsonb NOT NULL,
  who text NOT NULL,
  at timestamptz
);

ALTER TABLE tickets
  ADD COLUMN reply_due_ms bigint,
  ADD COLUMN replied_ms bigint,
  -- Limits in force, ms of counted time, and which clock counts: {clock, respondMs, dispatchMs, resolveMs, replyMs}.
  ADD COLUMN limits jsonb NOT NULL DEFAULT '{"clock": "always", "respondMs": 0, "dispatchMs": 0, "resolveMs": 0, "replyMs": 0}',
  ADD COLUMN clock_from_ms bigint,
  ADD COLUMN started_ms bigint,
  ADD COLUMN subtype text NOT NULL DEFAULT '',
  ADD COLUMN account text NOT NULL DEFAULT '',
  -- TicketImpact.
  ADD COLUMN impact jsonb NOT NULL DEFAULT '{"customers": 0, "vulnerable": 0, "large": 0, "special": 0, "lifeSupport": 0, "hospitals": 0, "schools": 0, "segment": "", "lossM3h": 0}',
  ADD COLUMN base smallint,
  ADD COLUMN priority_reasons text[] NOT NULL DEFAULT '{}',
  ADD COLUMN why jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN etr_ms bigint,
  ADD COLUMN etr_by text NOT NULL DEFAULT '',
  ADD COLUMN held_since_ms bigint,
  ADD COLUMN held_ms bigint NOT NULL DEFAULT 0,
  ADD COLUMN escalation text[] NOT NULL DEFAULT '{}',
  ADD COLUMN reopened int NOT NULL DEFAULT 0,
  ADD COLUMN reports int NOT NULL DEFAULT 0;
-- Tickets from before: the limits they had are what lies between opening and due.
UPDATE tickets SET reply_due_ms = resolve_due_ms, clock_from_ms = opened_ms, started_ms = opened_ms, base = priority,
  limits = jsonb_build_object('clock', 'always', 'respondMs', respond_due_ms - opened_ms, 'dispatchMs', dispatch_due_ms - opened_ms,
    'resolveMs', resolve_due_ms - opened_ms, 'replyMs', resolve_due_ms - opened_ms);
ALTER TABLE tickets
  ALTER COLUMN reply_due_ms SET NOT NULL,
  ALTER COLUMN clock_from_ms SET NOT NULL,
  ALTER COLUMN started_ms SET NOT NULL,
  ALTER COLUMN base SET NOT NULL;
-- Who is free: open tickets of a crew.
CREATE INDEX tickets_assignee ON tickets (assignee)
  WHERE assignee <> '' AND state IN ('received', 'reviewed', 'dispatched', 'in_progress', 'verify', 'resolved', 'confirmed');
CREATE INDEX tickets_opened ON tickets (opened_ms);
CREATE INDEX tickets_closed ON tickets (closed_ms) WHERE closed_ms IS NOT NULL;
CREATE INDEX tickets_account ON tickets (account, opened_ms) WHERE account <> '';

-- What has happened and is not yet told: taken out in the transaction that writes what it leads to.
CREATE TABLE desk_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ticket_no bigint NOT NULL,
  version int NOT NULL,
  action text NOT NULL,
  at_ms bigint NOT NULL
);

-- Everything that leaves: notices to customers, events to listeners, words to staff. `key` makes each of it once.
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL UNIQUE,
  kind text NOT NULL CHECK (kind IN ('notice', 'tmf621', 'staff')),
  -- Where to: webhook, sms, email, staff, hub:<id>. One that does not answer holds up only its own.
  lane text NOT NULL,
  ticket_no bigint,
  stage text NOT NULL DEFAULT '',
  account text NOT NULL DEFAULT '',
  language text NOT NULL DEFAULT '',
  -- Without address: that is looked up when it is sent.
  body jsonb NOT NULL,
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dead', 'cancelled')),
  attempts int NOT NULL DEFAULT 0,
  -- Quiet hours, log clock; 0 for at once.
  not_before_ms bigint NOT NULL DEFAULT 0,
  -- Retries, wall clock.
  next_at timestamptz NOT NULL DEFAULT now(),
  created_ms bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz,
  error text NOT NULL DEFAULT ''
);
CREATE INDEX outbox_due ON outbox (lane, next_at, id) WHERE state = 'waiting';
CREATE INDEX outbox_ticket ON outbox (ticket_no, id);
CREATE INDEX outbox_state ON outbox (state, id DESC);

-- TMF621 listeners.
CREATE TABLE hub_listeners (
  id text PRIMARY KEY,
  callback text NOT NULL,
  query text NOT NULL DEFAULT '',
  who text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE customer_reports (
  id bigint GENERATED ALWAYS AS IDENTITY (START WITH 1001) PRIMARY KEY,
  command text UNIQUE,
  kind text NOT NULL,
  account text NOT NULL DEFAULT '',
  meter text NOT NULL DEFAULT '',
  lon double precision,
  lat double precision,
  zone text NOT NULL DEFAULT '',
  -- What is above the meter: transformer, feeder or district, nearest first.
  above text[] NOT NULL DEFAULT '{}',
  description text NOT NULL,
  reported_ms bigint NOT NULL,
  observed_ms bigint NOT NULL,
  channel text NOT NULL DEFAULT '',
  who text NOT NULL,
  ticket_no bigint NOT NULL REFERENCES tickets (no),
  state text NOT NULL CHECK (state IN ('attached', 'own_ticket', 'suspected')),
  match text NOT NULL
);
CREATE INDEX customer_reports_ticket ON customer_reports (ticket_no);
CREATE INDEX customer_reports_recent ON customer_reports (observed_ms, kind);

-- What people say of a crew; where it is comes from its device.
CREATE TABLE crew_status (
  crew text PRIMARY KEY,
  status text NOT NULL DEFAULT 'free' CHECK (status IN ('free', 'busy', 'off')),
  shift_from_ms bigint,
  shift_to_ms bigint,
  who text NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE crew_positions (
  crew text NOT NULL,
  ts_ms bigint NOT NULL,
  lon double precision NOT NULL,
  lat double precision NOT NULL,
  PRIMARY KEY (crew, ts_ms)
);

CREATE TABLE callbacks (
  ticket_no bigint PRIMARY KEY REFERENCES tickets (no),
  -- Local date of the closing.
  day date NOT NULL,
  state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'reached', 'not_reached')),
  tries int NOT NULL DEFAULT 0,
  score smallint CHECK (score BETWEEN 1 AND 5),
  -- What the customer expected, 1 to 5: with the score it makes the gap of expectation and experience.
  expected smallint CHECK (expected BETWEEN 1 AND 5),
  note text NOT NULL DEFAULT '',
  who text NOT NULL DEFAULT '',
  at_ms bigint
);
CREATE INDEX callbacks_state ON callbacks (state, day);

-- Days whose sample was drawn.
CREATE TABLE callback_days (
  day date PRIMARY KEY
);

-- Judgement matrices of the scorecard, and the ratings of management and staff that the gap model needs.
CREATE TABLE scorecard_model (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version int NOT NULL DEFAULT 0,
  body jsonb NOT NULL DEFAULT '{}',
  who text NOT NULL DEFAULT '',
  at timestamptz
);
INSERT INTO scorecard_model DEFAULT VALUES;
