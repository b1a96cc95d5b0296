// The proof that nothing was lost, per gateway and hour of receipt. Cumulative within the hour, so repeats do no harm.

/** One zone's share of a gateway's hour, counted by the fold from the log itself. */
export interface LedgerEntry {
  zone: string
  gateway: string
  hourMs: number
  /** Readings and events that reached the log. received = accepted + duplicate + quarantined. */
  received: number
  accepted: number
  duplicate: number
  /** Of the duplicates, those in a message that the broker marked as a redelivery. */
  redelivered: number
  /** Refused by validation in the fold, by reason. Refusals at ingest are counted from the quarantine topic. */
  quarantined: Record<string, number>
}
