-- The registry: what exists, who the customers are, what the control room knows. Written by the api and `npm run import`.

CREATE TABLE assets (
  id text PRIMARY KEY,
  kind text NOT NULL,
  geometry jsonb,
  -- All properties of the contract, id and kind included.
  properties jsonb NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX assets_kind ON assets (kind);

-- Personal data: it stays in this table and in the desk's; no topic, no log line, no snapshot carries it.
CREATE TABLE accounts (
  account text PRIMARY KEY,
  name text NOT NULL DEFAULT '',
  segment text NOT NULL DEFAULT 'general' CHECK (segment IN ('general', 'large', 'special', 'vulnerable')),
  phone text NOT NULL DEFAULT '',
  email text NOT NULL DEFAULT '',
  language text NOT NULL DEFAULT 'en',
  tariff_water text NOT NULL DEFAULT '',
  tariff_power text NOT NULL DEFAULT ''
);

CREATE TABLE operations (
  -- Derived from the content, so that an import repeated adds nothing.
  id text PRIMARY KEY,
  known_at timestamptz NOT NULL,
  kind text NOT NULL,
  scope_type text NOT NULL,
  scope text NOT NULL,
  start_at timestamptz NOT NULL,
  end_at timestamptz NOT NULL,
  note text NOT NULL DEFAULT '',
  CHECK (end_at >= start_at)
);
CREATE INDEX operations_known ON operations (known_at);

-- Keys: name, timezone, warmupUntil (ISO or ''), intervalSeconds, revision (counts changes of the registry).
CREATE TABLE registry_meta (
  key text PRIMARY KEY,
  value text NOT NULL
);
INSERT INTO registry_meta (key, value) VALUES ('revision', '0');

-- Which definition of a zone the log has last been given, and the log (Kafka cluster id and prefix) that was.
CREATE TABLE zones_published (
  zone text PRIMARY KEY,
  version text NOT NULL,
  cluster text NOT NULL,
  published_at timestamptz NOT NULL DEFAULT now()
);

-- Any change of the registry counts `revision` up and wakes listeners of the channel `registry_changed` (ingest), whoever made it.
CREATE FUNCTION registry_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE registry_meta SET value = (value::bigint + 1)::text WHERE key = 'revision';
  PERFORM pg_notify('registry_changed', '');
  RETURN NULL;
END $$;
CREATE TRIGGER assets_changed AFTER INSERT OR UPDATE OR DELETE ON assets FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER accounts_changed AFTER INSERT OR UPDATE OR DELETE ON accounts FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER operations_changed AFTER INSERT OR UPDATE OR DELETE ON operations FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
