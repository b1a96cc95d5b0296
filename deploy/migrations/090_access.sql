-- Who may use the api, and what they did. Secrets are kept as hashes only.

CREATE TABLE users (
  name text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{1,63}$'),
  -- argon2id, PHC string
  password text NOT NULL,
  roles text[] NOT NULL,
  disabled boolean NOT NULL DEFAULT false,
  failures int NOT NULL DEFAULT 0,
  locked_until timestamptz,
  -- Sessions opened before are void: raised when the password, the roles or the state change.
  valid_from timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used timestamptz
);

CREATE TABLE api_keys (
  id text PRIMARY KEY CHECK (id ~ '^[a-z0-9]{12}$'),
  name text NOT NULL,
  -- SHA-256 of the secret: 32 random bytes need no slow hash.
  secret bytea NOT NULL,
  roles text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used timestamptz
);

-- Every entry carries the hash of the one before: nothing can be changed or taken out without the chain breaking.
CREATE TABLE audit (
  seq bigint PRIMARY KEY,
  at_ms bigint NOT NULL,
  who text NOT NULL,
  action text NOT NULL,
  target text NOT NULL,
  outcome int NOT NULL,
  detail jsonb NOT NULL,
  prev bytea NOT NULL,
  hash bytea NOT NULL
);
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is append-only';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
