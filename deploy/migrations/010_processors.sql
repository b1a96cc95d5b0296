-- What processors keep: where they are in the log, the state of their folds, and the results that belong in a relational store.

-- One row a stage ('zones', 'network') and partition. Its epoch is raised by whoever takes the partition over: a predecessor that is still
-- alive then finds another epoch and stops writing.
CREATE TABLE checkpoints (
  stage text NOT NULL,
  partition int NOT NULL,
  epoch bigint NOT NULL,
  owner text NOT NULL,
  -- Kafka cluster of next_offset; in another cluster the log begins anew.
  cluster text NOT NULL DEFAULT '',
  next_offset bigint NOT NULL DEFAULT 0,
  -- State of the stage itself (clock of the partition, second stage), node:v8 serialised.
  state bytea,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (stage, partition)
);
ALTER TABLE checkpoints ALTER COLUMN state SET STORAGE EXTERNAL;

-- State of a zone's fold as of next_offset, and the definition it works with (written only when that changes).
CREATE TABLE snapshots (
  partition int NOT NULL,
  zone text NOT NULL,
  next_offset bigint NOT NULL,
  def bytea,
  def_version text NOT NULL DEFAULT '',
  state bytea NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (partition, zone)
);
-- Rewritten every few seconds: compressing costs more than it saves.
ALTER TABLE snapshots ALTER COLUMN state SET STORAGE EXTERNAL, ALTER COLUMN def SET STORAGE EXTERNAL;

-- Every revision of every meter-day, each once. feed_seq is the order of the billing feed; inserts take turns (advisory lock), so that
-- no row appears below one that a reader has already seen.
CREATE TABLE meter_days (
  feed_seq bigserial PRIMARY KEY,
  meter text NOT NULL,
  quantity text NOT NULL,
  channel text NOT NULL DEFAULT '',
  date date NOT NULL,
  rev int NOT NULL,
  value double precision NOT NULL,
  actual int NOT NULL,
  estimated int NOT NULL,
  missing int NOT NULL,
  zone text NOT NULL,
  -- Log time of the decision.
  decided_at timestamptz NOT NULL,
  UNIQUE (meter, quantity, channel, date, rev)
);

-- LedgerEntry: cumulative within the hour of receipt.
CREATE TABLE ledger (
  zone text NOT NULL,
  gateway text NOT NULL,
  hour timestamptz NOT NULL,
  received bigint NOT NULL,
  accepted bigint NOT NULL,
  duplicate bigint NOT NULL,
  redelivered bigint NOT NULL,
  -- reason -> count
  quarantined jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (zone, gateway, hour)
);
CREATE INDEX ledger_hour ON ledger (hour);

-- QuarantineEntry. A repeat of an entry does not change it: its state is a person's work.
CREATE TABLE quarantine (
  id text PRIMARY KEY,
  reason text NOT NULL,
  field text NOT NULL,
  message text NOT NULL,
  gateway text NOT NULL,
  device text NOT NULL,
  topic text NOT NULL,
  format text NOT NULL,
  received_at timestamptz NOT NULL,
  entries int NOT NULL,
  payload text NOT NULL,
  encoding text NOT NULL,
  truncated boolean NOT NULL,
  redelivered boolean NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'released', 'discarded')),
  stored_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  closed_by text
);
CREATE INDEX quarantine_received ON quarantine (received_at);
CREATE INDEX quarantine_open ON quarantine (received_at) WHERE state = 'open';
