-- What ingest remembers of the log it writes to (cluster = Kafka cluster id and prefix).

-- Operations given to the log, and detector settings by zone with the hash of their text.
CREATE TABLE ingest_published (
  cluster text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('operation', 'settings')),
  id text NOT NULL,
  version text NOT NULL,
  published_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (cluster, kind, id)
);

-- Log time that all partitions are known to have reached, when messages carry the time: a restarted ingest ticks on from there.
CREATE TABLE ingest_clocks (
  cluster text NOT NULL,
  instance text NOT NULL,
  log_time timestamptz NOT NULL,
  PRIMARY KEY (cluster, instance)
);

-- Sessions that the broker keeps: the connections of each instance, numbered from 0, and when it last said that it lives.
CREATE TABLE ingest_instances (
  cluster text NOT NULL,
  instance text NOT NULL,
  connections int NOT NULL CHECK (connections > 0),
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (cluster, instance)
);
