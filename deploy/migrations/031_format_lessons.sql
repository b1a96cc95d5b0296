-- Messages that formats must know to read later ones (births of Sparkplug, units of a bridge's devices): the newest of each key, read
-- again when ingest starts. The oldest go when there are too many.
CREATE TABLE format_lessons (
  cluster text NOT NULL,
  format text NOT NULL,
  key text NOT NULL,
  topic text NOT NULL,
  payload bytea NOT NULL,
  received_at timestamptz NOT NULL,
  -- Which ingest saved it, and when: the others read what is new to them.
  instance text NOT NULL,
  saved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (cluster, format, key)
);
CREATE INDEX format_lessons_saved ON format_lessons (cluster, saved_at);
