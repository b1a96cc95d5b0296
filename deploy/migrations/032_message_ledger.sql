-- Messages by gateway and hour of receipt, as ingest counts them: deliveries, and which numbers of the gateway's own counter came. A
-- counter that begins again begins another run.
CREATE TABLE message_ledger (
  cluster text NOT NULL,
  instance text NOT NULL,
  gateway text NOT NULL,
  hour timestamptz NOT NULL,
  run int NOT NULL,
  -- Everything that the broker delivered, and of it what it marked as delivered before.
  deliveries bigint NOT NULL,
  redelivered bigint NOT NULL,
  -- First deliveries without a number.
  unnumbered bigint NOT NULL,
  -- Deliveries of which nothing could be used.
  refused bigint NOT NULL,
  -- Numbers that came: first and last of each range, ascending.
  ranges bigint[] NOT NULL,
  -- Numbers that did not come within a range, where there were too many ranges to keep.
  joined bigint NOT NULL,
  PRIMARY KEY (cluster, instance, gateway, hour, run)
);
CREATE INDEX message_ledger_hour ON message_ledger (hour);
