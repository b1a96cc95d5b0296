// Prometheus metrics of one process. Names are `meterstream_…` and documented in docs/operators.md.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export type { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** One registry a process, with the process' own metrics (memory, event-loop lag, CPU) and a `service` label on everything. */
export function createRegistry(service: string): Registry {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry })
  return registry
}

/** A counter only ever grows; two counters (in, out) beat one gauge. */
export function counter<L extends string = never>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Counter<L> {
  return new Counter({ name, help, labelNames, registers: [registry] })
}

/** `collect`, when given, sets the gauge at each scrape. */
export function gauge<L extends string = never>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[] = [],
  collect?: (this: Gauge<L>) => void | Promise<void>,
): Gauge<L> {
  return new Gauge({ name, help, labelNames, registers: [registry], ...(collect === undefined ? {} : { collect }) })
}

/** Seconds by default, 1 ms to 60 s; other units name themselves in the metric's name and bring their buckets. */
export function histogram<L extends string = never>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[] = [],
  buckets: number[] = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
): Histogram<L> {
  return new Histogram({ name, help, labelNames, buckets, registers: [registry] })
}
