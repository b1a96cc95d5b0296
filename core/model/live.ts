// Records of the topic `live`: what the map shows now. Latest values only; history is in QuestDB.
import type { LiveValue } from './live-events.ts'

/**
 * One zone's news since the last flush, key = zone. Values of sensors, flow meters, totalising meters and computed values, the newest of each
 * series; never of customer meters. After a restart older values and an older clock can come again: keep the newest of each.
 */
export interface LiveRecord {
  type: 'live'
  /** '' for the partition's own record, at most one a second: its clock and lag when no zone has news. */
  zone: string
  /** Partition of `telemetry`. */
  partition: number
  /** The log's clock. */
  nowMs: number
  /** Readings folded since the last record of the zone. */
  readings: number
  values: LiveValue[]
  /** Records of the partition not yet folded, in the partition's own record. */
  lagRecords?: number
  /** Findings neither cleared nor withdrawn in all zones of the partition, in the partition's own record. */
  openFindings?: number
}
