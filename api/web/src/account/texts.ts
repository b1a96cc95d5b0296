// The words of the account page, English and Chinese.
import { signal } from '@preact/signals'

export type Language = 'en' | 'zh'

const EN = {
  title: 'My use',
  account: 'Account {id}',
  water: 'Water',
  power: 'Electricity',
  loading: 'Loading …',
  failed: 'The page could not be loaded. {reason}',
  again: 'Try again',
  noLink: 'This page opens by the link that your utility has sent you.',
  noMeters: 'No meter is registered for this account.',
  asOf: 'As of {time}',
  thisMonth: 'This month so far',
  today: 'Today',
  uncertain: '{pct} % of today is estimated',
  change: 'against the same days of last month',
  compare: 'These days compared',
  you: 'You',
  lastMonth: 'You, last month',
  neighbours: 'Neighbours, typical',
  neighboursNote: '{pct} % of {count} comparable neighbours used more than you.',
  neighboursFew: 'Too few neighbours to compare with.',
  cost: 'Cost so far',
  forecast: 'Expected bill',
  range: 'probably between {low} and {high}',
  tier: 'Block {tier} of {tiers}: {rate} a unit',
  tierLeft: '{left} {unit} until the next block at {rate}',
  tierLast: 'This is the last block.',
  detail: 'How the cost comes about',
  tax: 'tax',
  included: 'included',
  total: 'Total',
  noCost: 'There is no price for this supply yet.',
  uncovered: 'For some days no price is known; they are not in the sum.',
  timeEstimate: 'Some readings are daily sums; their share of each time of day is estimated.',
  days: 'Use by day',
  tapDay: 'Tap a day to see its hours.',
  hours: '{date}, hour by hour',
  estimated: 'estimated',
  noData: 'No readings for this day.',
  notices: 'Notices',
  since: 'since {time}',
  from: 'from {time}',
  between: '{from} to {to}',
  allWell: 'No leak, no outage: all is well.',
  download: 'Download my data (Green Button)',
  downloadFailed: 'The download failed: {reason}',
  block: 'block {tier}',
}
export type TextKey = keyof typeof EN

const ZH: Record<TextKey, string> = {
  title: '我的用量',
  account: '账户 {id}',
  water: '用水',
  power: '用电',
  loading: '正在加载……',
  failed: '页面无法加载。{reason}',
  again: '重试',
  noLink: '请使用供水供电公司发给您的链接打开本页面。',
  noMeters: '该账户没有登记任何表计。',
  asOf: '截至 {time}',
  thisMonth: '本月至今',
  today: '今日',
  uncertain: '今日有 {pct}% 为估算值',
  change: '与上月同期相比',
  compare: '同期对比',
  you: '您',
  lastMonth: '您的上月',
  neighbours: '邻居中位数',
  neighboursNote: '{count} 户同类邻居中有 {pct}% 用量高于您。',
  neighboursFew: '可比邻居过少，无法比较。',
  cost: '至今费用',
  forecast: '预计本月账单',
  range: '大约在 {low} 与 {high} 之间',
  tier: '第 {tier} 档（共 {tiers} 档）：每单位 {rate}',
  tierLeft: '距下一档（{rate}）还有 {left} {unit}',
  tierLast: '已是最高档。',
  detail: '费用明细',
  tax: '税',
  included: '已含',
  total: '合计',
  noCost: '该项供应尚无价格。',
  uncovered: '部分日期没有价格，未计入合计。',
  timeEstimate: '部分读数为日总量，其分时份额为估算值。',
  days: '每日用量',
  tapDay: '点按某日可查看每小时用量。',
  hours: '{date} 每小时用量',
  estimated: '估算',
  noData: '该日没有读数。',
  notices: '通知',
  since: '自 {time}',
  from: '自 {time} 起',
  between: '{from} 至 {to}',
  allWell: '没有漏水，没有停电：一切正常。',
  download: '下载我的数据（Green Button）',
  downloadFailed: '下载失败：{reason}',
  block: '第 {tier} 档',
}

export const TEXTS: Record<Language, Record<TextKey, string>> = { en: EN, zh: ZH }

const kept = localStorage.getItem('language')
/** Undefined until somebody has chosen: then the account's own language is taken. */
export const chosen = signal<Language | undefined>(kept === 'en' || kept === 'zh' ? kept : undefined)
export const fallback = signal<Language>(navigator.language.startsWith('zh') ? 'zh' : 'en')

export function language(): Language {
  return chosen.value ?? fallback.value
}

export function choose(next: Language): void {
  chosen.value = next
  localStorage.setItem('language', next)
}

export function t(key: TextKey, values: Record<string, string | number> = {}): string {
  return TEXTS[language()][key].replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole))
}

export const locale = () => (language() === 'zh' ? 'zh-CN' : 'en-GB')
