-- Intervals to be written anew, by a person or because of another multiplier: who, why, and what became of it. Processors read the stored
-- revisions and give the edit to the log; the log's folds say the new revisions of intervals and days.
CREATE TABLE interval_edits (
  id text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('manual', 'multiplier')),
  zone text NOT NULL,
  meter text NOT NULL,
  quantity text NOT NULL,
  channel text NOT NULL DEFAULT '',
  -- Intervals that begin in [since_at, until_at).
  since_at timestamptz NOT NULL,
  until_at timestamptz NOT NULL,
  -- manual: [[start as epoch ms, value], ...]; multiplier: null, and the factor.
  new_values jsonb,
  factor double precision,
  who text NOT NULL CHECK (who <> ''),
  note text NOT NULL CHECK (note <> ''),
  -- Log time.
  asked_at timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'published', 'failed')),
  problem text NOT NULL DEFAULT '',
  -- Intervals given to the log.
  intervals int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  published_at timestamptz,
  CHECK ((kind = 'manual') = (new_values IS NOT NULL) AND (kind = 'multiplier') = (factor IS NOT NULL))
);
CREATE INDEX interval_edits_meter ON interval_edits (meter, created_at DESC);
CREATE INDEX interval_edits_asked ON interval_edits (created_at) WHERE state = 'asked';
