-- What validation says beside the plain sum of a day: the mix by volume, time of use, the rules that fired, and what a revision replaces.
ALTER TABLE meter_days
  ADD COLUMN edited int NOT NULL DEFAULT 0,
  -- Part of the value that comes from estimated and rejected intervals.
  ADD COLUMN estimated_value double precision NOT NULL DEFAULT 0,
  -- Value by time-of-use band; null for quantities without a calendar.
  ADD COLUMN tou jsonb,
  ADD COLUMN rules text[] NOT NULL DEFAULT '{}',
  -- Of a revision above 1: the value of the one before, and why it was said again.
  ADD COLUMN before_value double precision,
  ADD COLUMN why text NOT NULL DEFAULT '';

-- How often each validation rule fired, by local day of the utility (log time) and class of meter. Cumulative within the day, so repeats
-- do no harm.
CREATE TABLE rule_counts (
  zone text NOT NULL,
  date date NOT NULL,
  rule text NOT NULL,
  class text NOT NULL,
  fired bigint NOT NULL,
  PRIMARY KEY (zone, date, rule, class)
);
CREATE INDEX rule_counts_date ON rule_counts (date);
