// What ingest tells of itself. Labels have few values: formats, dispositions and reasons are closed lists.

import { type Counter, counter, gauge, histogram, type Registry } from '#runtime/metrics.ts'
import type { MqttStats } from '#runtime/mqtt.ts'
import type { Disposition } from './format.ts'

export interface PipelineState {
  queued: number
  queueAgeS: number
  logTimeMs: number | undefined
}

export interface IngestMetrics {
  message(format: string, disposition: Disposition): void
  readings(n: number): void
  events(n: number): void
  refusal(reason: string, entries: number): void
  released(outcome: 'released' | 'refused', entries: number): void
  sent(seconds: number, records: number): void
  sendFailed(): void
  tick(): void
}

export function ingestMetrics(registry: Registry, mqtt: () => MqttStats, pipeline: () => PipelineState): IngestMetrics {
  const messages = counter(registry, 'meterstream_ingest_messages_total', 'Messages decoded', ['format', 'disposition'])
  const readings = counter(registry, 'meterstream_readings_total', 'Readings given to the log')
  const events = counter(registry, 'meterstream_events_total', 'Events given to the log')
  const refusals = counter(registry, 'meterstream_ingest_refusals_total', 'Entries refused, by reason', ['reason'])
  const released = counter(registry, 'meterstream_ingest_released_total', 'Entries of quarantine sent again, by outcome', ['outcome'])
  const records = counter(registry, 'meterstream_ingest_records_total', 'Kafka records written')
  const seconds = histogram(registry, 'meterstream_ingest_kafka_seconds', 'From sending a batch to its acknowledgement by Kafka')
  const failures = counter(registry, 'meterstream_ingest_send_failures_total', 'Batches that Kafka did not take, to be sent again')
  const ticks = counter(registry, 'meterstream_ingest_ticks_total', 'Ticks of the log')
  gauges(registry, mqtt, pipeline)

  // Labels are looked up once: the look-up costs more than the counting.
  const children = new Map<string, Counter.Internal>()
  return {
    message(format, disposition) {
      const key = `${format}|${disposition}`
      let child = children.get(key)
      if (child === undefined) {
        child = messages.labels(format, disposition)
        children.set(key, child)
      }
      child.inc()
    },
    readings: (n) => readings.inc(n),
    events: (n) => events.inc(n),
    refusal: (reason, entries) => refusals.inc({ reason }, entries),
    released: (outcome, entries) => released.inc({ outcome }, entries),
    sent(s, n) {
      seconds.observe(s)
      records.inc(n)
    },
    sendFailed: () => failures.inc(),
    tick: () => ticks.inc(),
  }
}

function gauges(registry: Registry, mqtt: () => MqttStats, pipeline: () => PipelineState): void {
  const of = (name: string, help: string, value: () => number) =>
    gauge(registry, name, help, [], function collect() {
      this.set(value())
    })
  of('meterstream_ingest_mqtt_connected', 'Connections to the broker, subscribed', () => mqtt().connected)
  of('meterstream_ingest_in_flight_messages', 'Received from the broker and not yet acknowledged', () => mqtt().unacknowledged)
  of('meterstream_ingest_in_flight_bytes', 'The same in bytes', () => mqtt().bytes)
  of('meterstream_ingest_redelivered_total', 'Messages that the broker marked as sent before', () => mqtt().redelivered)
  of('meterstream_ingest_reconnects_total', 'Connections to the broker made again', () => mqtt().reconnects)
  of(
    'meterstream_ingest_watchdog_restarts_total',
    'Connections made again because their session stopped delivering',
    () => mqtt().watchdogRestarts,
  )
  of('meterstream_ingest_queue_messages', 'Messages waiting to be decoded', () => pipeline().queued)
  of('meterstream_ingest_queue_age_seconds', 'Age of the oldest of them', () => pipeline().queueAgeS)
  of('meterstream_ingest_log_time_seconds', 'The clock of the log', () => (pipeline().logTimeMs ?? 0) / 1000)
}
