// Asks for one account's data: by the signed link's token, which stands behind # and never reaches a log; or, for people of the
// utility, by their session and `?id=`.

export interface Label {
  en: string
  zh?: string
}
export interface Line {
  kind: string
  charge: string
  label: Label
  quantity: number
  unit: string
  rate: string
  tier?: number
  included?: true
  amountMinor: number
}
export interface Tier {
  tier: number
  tiers: number
  used: number
  upTo: number | null
  rate: string
  nextRate: string | null
}
export interface Cost {
  tariff: { code: string; label: Label }
  currency: string
  minorDigits: number
  soFar: { lines: Line[]; totalMinor: number; tiers: Tier[]; uncovered: unknown[]; warnings: string[] }
  forecastMinor: number
  forecastLowMinor: number
  forecastHighMinor: number
}
export interface Commodity {
  commodity: 'water' | 'power'
  unit: 'm3' | 'kWh'
  usage: {
    meters: string[]
    today: { value: number; uncertainPct: number; until: string | null }
    month: { from: string; value: number; lastMonthSameDays: number | null; lastMonth: number | null; changePct: number | null }
    days: { date: string; value: number; uncertain: number; intervals: number }[]
  }
  neighbours: { count: number; median: number; moreThanYou: number } | null
  cost: Cost | null
}
export interface Notice {
  kind: string
  from: string
  to: string | null
  urgent: boolean
  text: { en: string; zh: string }
}
export interface View {
  account: string
  language: string
  timezone: string
  now: string
  commodities: Commodity[]
  notices: Notice[]
}
export interface Curve {
  intervals: { start: string; end: string; value: number | null; status: string }[]
}

const token = location.hash.slice(1)
const id = new URLSearchParams(location.search).get('id')

/** False: the page was opened without a link. */
export const hasAccess = token !== '' || id !== null

const base = token === '' ? `/v1/accounts/${encodeURIComponent(id ?? '')}` : '/v1/my-account'

async function ask(path: string): Promise<Response> {
  const headers: Record<string, string> = token === '' ? {} : { authorization: `Bearer ${token}` }
  const response = await fetch(`${base}${path}`, { credentials: 'same-origin', headers })
  if (response.ok) return response
  const problem = (await response.json().catch(() => ({}))) as { detail?: string }
  throw new Error(problem.detail ?? `HTTP ${response.status}`)
}

export async function loadView(): Promise<View> {
  return (await ask('/view')).json() as Promise<View>
}

/** Intervals of all meters of a commodity on a local day. */
export async function loadCurves(meters: readonly string[], date: string): Promise<Curve[]> {
  return Promise.all(meters.map(async (m) => (await ask(`/curve?meter=${encodeURIComponent(m)}&date=${date}`)).json() as Promise<Curve>))
}

/** Saves the Green Button file; a plain link could not carry the token. */
export async function download(): Promise<void> {
  const blob = await (await ask('/green-button')).blob()
  const url = URL.createObjectURL(blob)
  const a = document.createElement('a')
  a.href = url
  a.download = 'green-button.xml'
  a.click()
  URL.revokeObjectURL(url)
}
