-- Alarms of the control room after ISA-18.2. Written by the api. Times `..._ms` are the log's clock.

-- One row a condition and place, for ever; `body` is the whole alarm.
CREATE TABLE alarms (
  key text PRIMARY KEY,
  zone text NOT NULL,
  state text NOT NULL,
  priority smallint NOT NULL CHECK (priority BETWEEN 1 AND 4),
  active boolean NOT NULL,
  suppressed boolean NOT NULL,
  -- When the clock next has something to do for it.
  due_ms bigint,
  updated_ms bigint NOT NULL,
  version int NOT NULL,
  body jsonb NOT NULL
);
CREATE INDEX alarms_due ON alarms (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX alarms_shown ON alarms (priority, updated_ms DESC) WHERE state <> 'normal';
CREATE INDEX alarms_active ON alarms (zone) WHERE active;

-- Everything that happened to an alarm, and who did it. (key, version): a step is written once, whoever repeats it.
CREATE TABLE alarm_journal (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL,
  version int NOT NULL,
  at_ms bigint NOT NULL,
  -- The wall clock: a simulation's log runs faster than its people.
  recorded_at timestamptz NOT NULL DEFAULT now(),
  who text NOT NULL,
  action text NOT NULL,
  from_state text NOT NULL,
  to_state text NOT NULL,
  priority smallint NOT NULL,
  finding text NOT NULL,
  reason text NOT NULL DEFAULT '',
  -- Idempotency-Key of the command that made it.
  command text,
  UNIQUE (key, version),
  UNIQUE (key, command)
);
CREATE INDEX alarm_journal_calls ON alarm_journal (at_ms) WHERE action = 'annunciate';
CREATE INDEX alarm_journal_answers ON alarm_journal (at_ms) WHERE action = 'acknowledge';
CREATE INDEX alarm_journal_at ON alarm_journal (at_ms DESC, seq DESC);

-- Every version of the rationalisation; the newest counts. None: the defaults of the code.
CREATE TABLE alarm_policies (
  version int PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  who text NOT NULL,
  reason text NOT NULL,
  body jsonb NOT NULL
);
