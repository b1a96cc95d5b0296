-- The billing feed as its own list: which revision of which meter-day stands at which position. A position is given once, by one
-- publisher at a time (advisory lock held to the end of its transaction), so no entry ever appears below one already read.
SET LOCAL statement_timeout = 0;

CREATE TABLE billing_feed (
  pos bigint PRIMARY KEY,
  -- meter_days.feed_seq; a revision is in the feed once.
  day_seq bigint NOT NULL UNIQUE,
  -- Position of the entry of the same day that this one replaces.
  supersedes bigint,
  -- Why it may be billed: met, no_gate, correction, or what ended its being held.
  gate text NOT NULL,
  -- Who released it, and why, when a person did.
  released_by text,
  note text,
  published_at timestamptz NOT NULL DEFAULT now()
);

-- Days stored and not yet looked at by the publisher. Filled in the transaction that stores the day, whoever stores it, so the order in
-- which writers commit does not matter.
CREATE TABLE billing_pending (day_seq bigint PRIMARY KEY);

-- Quality gate by tariff class; '*' is for all classes without one of their own. Without a row nothing is held.
CREATE TABLE billing_gates (
  class text PRIMARY KEY,
  max_estimated_pct double precision NOT NULL CHECK (max_estimated_pct BETWEEN 0 AND 100),
  -- Days after the day itself (log time) when it is released as it is; null: never.
  hold_days int CHECK (hold_days BETWEEN 0 AND 400),
  rev int NOT NULL,
  updated_by text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Revisions that their gate holds back.
CREATE TABLE billing_held (
  day_seq bigint PRIMARY KEY,
  meter text NOT NULL,
  quantity text NOT NULL,
  channel text NOT NULL,
  date date NOT NULL,
  rev int NOT NULL,
  class text NOT NULL,
  reason text NOT NULL,
  estimated_pct double precision NOT NULL,
  limit_pct double precision NOT NULL,
  -- billing_gates.class and rev that were asked; another one by now means: ask again.
  gate_class text NOT NULL,
  gate_rev int NOT NULL,
  -- Log time of the revision.
  decided_at timestamptz NOT NULL,
  held_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX billing_held_day ON billing_held (meter, quantity, channel, date);

-- What was stored before the feed had a list of its own keeps its number, so cursors given out go on to hold.
INSERT INTO billing_feed (pos, day_seq, supersedes, gate)
SELECT feed_seq, feed_seq, lag(feed_seq) OVER (PARTITION BY meter, quantity, channel, date ORDER BY rev), 'no_gate' FROM meter_days;

CREATE FUNCTION billing_pending_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO billing_pending (day_seq) SELECT feed_seq FROM added;
  RETURN NULL;
END $$;
CREATE TRIGGER meter_days_pending AFTER INSERT ON meter_days REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION billing_pending_days();
