-- Why a billing ticket is open, with the numbers. One row a cause for ever; its ticket has the same key.
CREATE TABLE billing_causes (
  key text PRIMARY KEY,
  kind text NOT NULL,
  account text NOT NULL,
  meter text NOT NULL,
  evidence jsonb NOT NULL,
  -- Counts what changed; the desk has been told of told_rev.
  rev int NOT NULL,
  told_rev int NOT NULL DEFAULT 0,
  opened_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  closed_at timestamptz
);
CREATE INDEX billing_causes_open ON billing_causes (kind) WHERE closed_at IS NULL;
CREATE INDEX billing_causes_untold ON billing_causes (key) WHERE told_rev < rev;
CREATE INDEX billing_causes_meter ON billing_causes (meter);

-- Last local day (log time) for which the causes that are looked for once a day were looked for.
CREATE TABLE billing_cause_days (kind text PRIMARY KEY, day date NOT NULL);

CREATE INDEX billing_billed_days_period ON billing_billed_days (period);
