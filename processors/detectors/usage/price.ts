// What lost energy and water is worth in a finding: one price by commodity, a setting, so that a person can check the sum. The exact
// amount by the customer's own tariff is the api's business.
import { z } from 'zod'

export const KWH_PRICE = {
  /** Price of a kWh, major unit of the currency. Default: mean price of households in the EU, first half of 2024 (Eurostat nrg_pc_204). */
  kwhPrice: z.number().nonnegative().default(0.29),
  currency: z.string().length(3).default('EUR'),
}
export const M3_PRICE = {
  /** Price of a cubic metre with sewage. A round figure: set yours. */
  m3Price: z.number().nonnegative().default(4),
  currency: z.string().length(3).default('EUR'),
}

interface Prices {
  kwhPrice?: number
  m3Price?: number
  currency: string
}

/** `size` of a loss of kWh a year, with what it is worth. */
export function powerLoss(kwhYear: number, p: Prices): { kwhYear: number; moneyYear: number } {
  return { kwhYear: Math.round(kwhYear), moneyYear: Math.round(kwhYear * (p.kwhPrice ?? 0)) }
}

/** The same in m3. */
export function waterLoss(m3Year: number, p: Prices): { m3Year: number; moneyYear: number } {
  return { m3Year: Math.round(m3Year), moneyYear: Math.round(m3Year * (p.m3Price ?? 0)) }
}

/** The price behind `moneyYear`, as evidence. */
export function priceEvidence(commodity: 'water' | 'power', p: Prices): { what: string; [key: string]: string | number } {
  return commodity === 'water'
    ? { what: 'price', perM3: p.m3Price ?? 0, currency: p.currency }
    : { what: 'price', perKwh: p.kwhPrice ?? 0, currency: p.currency }
}
