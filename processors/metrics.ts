// Metrics of the processors. Names are documented in docs/operators.md.
import { counter, gauge, histogram, type Registry } from '#runtime/metrics.ts'
import type { StageMetrics, StageRunner } from './runner/stage.ts'
import type { ZonesMetrics, ZonesRunner } from './runner/zones.ts'

export function createMetrics(registry: Registry): { zones: ZonesMetrics; stage: StageMetrics; quarantined(n: number): void } {
  const records = counter(registry, 'meterstream_records_total', 'Records of the log folded')
  const readings = counter(registry, 'meterstream_readings_total', 'Readings folded, copies for neighbouring zones included')
  const fold = counter(registry, 'meterstream_fold_seconds_total', 'Time spent folding')
  const rows = counter(registry, 'meterstream_questdb_rows_total', 'Rows written to QuestDB')
  const refused = counter(registry, 'meterstream_questdb_rows_refused_total', 'Rows that QuestDB refused: lost')
  const flush = histogram(registry, 'meterstream_flush_seconds', 'Time of a flush to QuestDB and Kafka')
  const checkpoint = histogram(registry, 'meterstream_checkpoint_seconds', 'Time of a checkpoint of all partitions')
  const bytes = gauge(registry, 'meterstream_checkpoint_bytes', 'Size of the last checkpoint')
  const poisoned = counter(registry, 'meterstream_records_poisoned_total', 'Records of the log that could not be folded: in quarantine')
  const faults = counter(registry, 'meterstream_faults_total', 'Failures of a detector or of validation', ['part'])
  const findings = counter(registry, 'meterstream_network_findings_total', 'Revisions of findings of the second stage')
  const tickets = counter(registry, 'meterstream_ticket_intents_total', 'Revisions of ticket intents')
  const unreadable = counter(registry, 'meterstream_summaries_unreadable_total', 'Records of summaries that are none')
  const quarantined = counter(registry, 'meterstream_quarantine_stored_total', 'Quarantine entries written to PostgreSQL')
  return {
    zones: {
      folded(n, r, seconds) {
        records.inc(n)
        readings.inc(r)
        fold.inc(seconds)
      },
      poisoned: (n) => poisoned.inc(n),
      flushed(n, seconds) {
        rows.inc(n)
        flush.observe(seconds)
      },
      refusedRows: (n) => refused.inc(n),
      checkpointed(n, seconds) {
        bytes.set(n)
        checkpoint.observe(seconds)
      },
      faults: (part) => faults.inc({ part }),
    },
    stage: {
      findings: (n) => findings.inc(n),
      tickets: (n) => tickets.inc(n),
      unreadable: (n) => unreadable.inc(n),
      faults: (part) => faults.inc({ part }),
    },
    quarantined: (n) => quarantined.inc(n),
  }
}

/** Gauges that are read off the runners at each scrape. */
export function watchRunners(registry: Registry, zones: ZonesRunner, stage: StageRunner): void {
  gauge(registry, 'meterstream_log_lag_records', 'Records of the log not yet folded', ['partition'], function collect() {
    this.reset()
    for (const p of zones.partitions.values()) this.set({ partition: String(p.partition) }, p.lag)
  })
  gauge(registry, 'meterstream_log_clock_seconds', 'Log time, as Unix time', ['partition'], function collect() {
    this.reset()
    for (const p of zones.partitions.values()) this.set({ partition: String(p.partition) }, p.clockMs / 1000)
  })
  gauge(registry, 'meterstream_findings_open', 'Findings neither cleared nor withdrawn', [], function collect() {
    let n = stage.openFindings()
    for (const p of zones.partitions.values()) n += p.openFindings
    this.set(n)
  })
  gauge(
    registry,
    'meterstream_validation_rules_fired',
    'Firings of validation rules on the current local day',
    ['rule', 'class'],
    function collect() {
      this.reset()
      for (const p of zones.partitions.values()) for (const c of p.ruleCounts.values()) this.inc({ rule: c.rule, class: c.class }, c.fired)
    },
  )
  gauge(registry, 'meterstream_zones', 'Zones folded here', [], function collect() {
    let n = 0
    for (const p of zones.partitions.values()) n += p.zones.size
    this.set(n)
  })
  gauge(registry, 'meterstream_consumer_restarts', 'Times the consumer of the log had to be replaced', [], function collect() {
    this.set(zones.restarts())
  })
}
