-- Closed billing periods: what was billed, from which revision of which day, unchangeable.

-- One row: when periods begin and when they are closed.
CREATE TABLE billing_calendar (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  -- Day of the month on which a period begins.
  start_day int NOT NULL CHECK (start_day BETWEEN 1 AND 28),
  -- Local days after the end of a period, and time of that day, when it is closed.
  close_after_days int NOT NULL CHECK (close_after_days BETWEEN 0 AND 60),
  close_time text NOT NULL,
  updated_by text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- How far the closing of each period is. Closed strictly one after the other.
CREATE TABLE billing_runs (
  period text PRIMARY KEY,
  from_date date NOT NULL UNIQUE,
  to_date date NOT NULL,
  due_at timestamptz NOT NULL,
  -- accounts: by account; meters: meters without one; done.
  phase text NOT NULL DEFAULT 'accounts' CHECK (phase IN ('accounts', 'meters', 'done')),
  -- Last key of the phase that is closed.
  cursor text NOT NULL DEFAULT '',
  closed int NOT NULL DEFAULT 0,
  started_at timestamptz NOT NULL DEFAULT now(),
  done_at timestamptz
);

-- The bill's basis of one account (or of a meter without one) and commodity.
CREATE TABLE billing_periods (
  no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  period text NOT NULL REFERENCES billing_runs (period),
  -- Account, or '' for a meter without one.
  account text NOT NULL,
  -- '' with an account.
  meter text NOT NULL,
  commodity text NOT NULL,
  meters text[] NOT NULL,
  -- The document as it is given out, byte for byte.
  body text NOT NULL,
  sha256 text NOT NULL,
  -- What it was computed from beside billing_billed_days.
  -- Text, not jsonb: the order of its keys is part of the document.
  facts json NOT NULL,
  problems int NOT NULL,
  closed_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (period, account, meter, commodity)
);
CREATE INDEX billing_periods_account ON billing_periods (account, period);
CREATE INDEX billing_periods_meters ON billing_periods USING gin (meters);

-- Every revision of a day that was ever billed, with its intervals as they were, and the period in which it was billed: its own, or as a
-- correction in a later one.
CREATE TABLE billing_billed_days (
  meter text NOT NULL,
  quantity text NOT NULL,
  channel text NOT NULL,
  date date NOT NULL,
  rev int NOT NULL,
  period text NOT NULL REFERENCES billing_runs (period),
  value double precision NOT NULL,
  actual int NOT NULL,
  estimated int NOT NULL,
  missing int NOT NULL,
  -- api/billing/day-intervals.ts
  intervals bytea NOT NULL,
  PRIMARY KEY (meter, quantity, channel, date, rev)
);

CREATE FUNCTION billing_unchangeable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is unchangeable: corrections are adjustments of a later period', TG_TABLE_NAME;
END $$;
CREATE TRIGGER billing_periods_unchangeable BEFORE UPDATE OR DELETE ON billing_periods FOR EACH ROW EXECUTE FUNCTION billing_unchangeable();
CREATE TRIGGER billing_billed_days_unchangeable BEFORE UPDATE OR DELETE ON billing_billed_days
  FOR EACH ROW EXECUTE FUNCTION billing_unchangeable();

-- Tariffs as they were when something was billed by them.
CREATE TABLE billing_tariffs (
  sha256 text PRIMARY KEY,
  code text NOT NULL,
  revision int NOT NULL,
  body text NOT NULL
);
CREATE TRIGGER billing_tariffs_unchangeable BEFORE UPDATE OR DELETE ON billing_tariffs FOR EACH ROW EXECUTE FUNCTION billing_unchangeable();
