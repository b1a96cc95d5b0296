// Names of everything that outsiders of a process rely on: Kafka topics, MQTT topics, QuestDB and PostgreSQL tables.

/** Kafka topics. `telemetry` is the log: key = zone, records as in telemetry.ts. The others are low-volume JSON. */
export const TOPICS = {
  telemetry: 'telemetry',
  /** Refused entries (QuarantineEntry), key = gateway. */
  quarantine: 'quarantine',
  /** Zone summaries and candidate findings for the second stage, key = zone, one partition so that order is total. */
  summaries: 'summaries',
  /** Findings, every revision, key = finding id, one partition. */
  findings: 'findings',
  /** Ticket intents from the incident fold, key = ticket key, one partition. */
  tickets: 'tickets',
  /** Latest values for the live map and the log clock, key = zone. Short retention; a late joiner reads QuestDB first. */
  live: 'live',
  /** Positions of crews (CrewPosition of ingest), key = crew. */
  crews: 'crews',
} as const

export const TELEMETRY_PARTITIONS_DEFAULT = 8

export const MQTT_NATIVE_FILTER = 'telemetry/v1/+/+'
export const MQTT_CREWS_FILTER = 'crews/+'
