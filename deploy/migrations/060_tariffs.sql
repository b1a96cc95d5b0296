-- Tariffs as they are and as they were, and what is known of an account beyond the registry's import.

CREATE TABLE tariffs (
  code text PRIMARY KEY,
  commodity text NOT NULL,
  -- A Tariff of core/tariff. An import may bring one that is not valid: it is kept, shown in the data-quality list, and never priced.
  body jsonb NOT NULL,
  valid boolean NOT NULL,
  revision int NOT NULL DEFAULT 1,
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by text NOT NULL
);

CREATE TABLE tariff_changes (
  code text NOT NULL,
  revision int NOT NULL,
  body jsonb NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by text NOT NULL,
  PRIMARY KEY (code, revision)
);

-- Survives an import, which replaces `accounts`.
CREATE TABLE account_profiles (
  account text PRIMARY KEY,
  -- Persons of the household, for allowances.
  persons int CHECK (persons BETWEEN 1 AND 50),
  -- Set by a person or computed; goes before the imported one.
  segment text CHECK (segment IN ('general', 'large', 'special', 'vulnerable')),
  segment_reason text NOT NULL DEFAULT '',
  -- Links signed with an earlier number no longer hold.
  link_serial int NOT NULL DEFAULT 1,
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by text NOT NULL
);

-- Whose meter it is, asked by every account page.
CREATE INDEX assets_account ON assets ((properties->>'account'));
