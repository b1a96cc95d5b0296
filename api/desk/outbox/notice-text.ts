// What customers are told, in their language: short enough for one text message where it can be. Pure.
import type { NoticeStage } from '#model/desk.ts'
import { localDate, offsetMs } from '#model/time.ts'
import type { Ticket } from '../ticket.ts'

export const LANGUAGES = ['en', 'zh'] as const
export type Language = (typeof LANGUAGES)[number]

export function languageOf(wanted: string, usual: Language): Language {
  const two = wanted.slice(0, 2).toLowerCase()
  return LANGUAGES.find((l) => l === two) ?? usual
}

type Matter = 'power' | 'water' | 'own_leak' | 'supply'

function matterOf(t: Pick<Ticket, 'class' | 'scope'>): Matter {
  if (t.class === 'outage') return 'power'
  if (t.class === 'leak') return t.scope.type === 'meter' ? 'own_leak' : 'water'
  return 'supply'
}

interface Words {
  subject: Record<NoticeStage, string>
  opened: Record<Matter, string>
  estimate: string
  estimateGone: string
  restored: Record<Matter, string>
  withdrawn: string
  closed: string
  back: string
  reference: string
}

/** `{since}` and `{etr}` are local times. */
const WORDS: Record<Language, Words> = {
  en: {
    subject: {
      opened: 'About your supply',
      estimate: 'When your supply is expected back',
      restored: 'Your supply is back',
      withdrawn: 'Correction about your supply',
      closed: 'Your case is closed',
    },
    opened: {
      power: 'Your electricity has been off since {since}. We know of it and are working on it.',
      water: 'A water main in your area has been leaking since {since}. Pressure may be low. We are working on it.',
      own_leak: 'Your water meter shows water running without a break since {since}. Please look for a leak behind your meter.',
      supply: 'Your supply has been disturbed since {since}. We know of it and are working on it.',
    },
    estimate: 'We expect supply to be back at about {etr}.',
    estimateGone: 'We cannot yet say when supply will be back. We will tell you as soon as we know.',
    restored: {
      power: 'Your electricity is back. If you are still without, please call us.',
      water: 'The leak in your area has been repaired. Supply is as usual.',
      own_leak: 'Water no longer runs without a break behind your meter.',
      supply: 'Your supply is as usual again. If you still notice anything, please call us.',
    },
    withdrawn: 'Our last notice was a false alarm. Your supply was not disturbed. We are sorry.',
    closed: 'Your case is closed. Please tell us if you are not satisfied.',
    back: 'Expected back at about {etr}.',
    reference: 'Reference {ticket}.',
  },
  zh: {
    subject: { opened: '供应情况通知', estimate: '预计恢复时间', restored: '供应已恢复', withdrawn: '更正通知', closed: '您的工单已办结' },
    opened: {
      power: '您处自{since}起停电。我们已知悉并正在抢修。',
      water: '您所在区域的供水管道自{since}起漏水，水压可能偏低。我们正在抢修。',
      own_leak: '您的水表显示自{since}起持续用水，请检查表后管道是否漏水。',
      supply: '您处的供应自{since}起出现异常。我们已知悉并正在处理。',
    },
    estimate: '预计{etr}左右恢复供应。',
    estimateGone: '暂时无法确定恢复时间，一有消息即通知您。',
    restored: {
      power: '您处已恢复供电。如仍无电，请与我们联系。',
      water: '您所在区域的漏水已修复，供水恢复正常。',
      own_leak: '您的表后已不再持续用水。',
      supply: '您处的供应已恢复正常。如仍有异常，请与我们联系。',
    },
    withdrawn: '上一条通知为误报，您处供应未受影响，抱歉打扰。',
    closed: '您的工单已办结，如不满意请告诉我们。',
    back: '预计{etr}左右恢复。',
    reference: '工单号{ticket}。',
  },
}

export interface NoticeText {
  subject: string
  text: string
}

export interface Told {
  ticket: Pick<Ticket, 'class' | 'scope' | 'startedMs' | 'etrMs'>
  /** `T-1042` */
  id: string
  language: Language
  timezone: string
  nowMs: number
}

export function noticeText(stage: NoticeStage, { ticket, id, language, timezone, nowMs }: Told): NoticeText {
  const w = WORDS[language]
  const matter = matterOf(ticket)
  const time = (ms: number) => localTime(timezone, ms, nowMs)
  const fill = (text: string) =>
    text
      .replace('{since}', time(ticket.startedMs))
      .replace('{etr}', ticket.etrMs === null ? '' : time(ticket.etrMs))
      .replace('{ticket}', id)
  const parts: Record<NoticeStage, string[]> = {
    opened: [w.opened[matter], ...(ticket.etrMs === null ? [] : [w.back])],
    estimate: [ticket.etrMs === null ? w.estimateGone : w.estimate],
    restored: [w.restored[matter]],
    withdrawn: [w.withdrawn],
    closed: [w.closed],
  }
  return { subject: w.subject[stage], text: [...parts[stage], w.reference].map(fill).join(language === 'zh' ? '' : ' ') }
}

/** `14:05`, with the date when that is another day. */
function localTime(timezone: string, ms: number, nowMs: number): string {
  const at = new Date(ms + offsetMs(timezone, ms)).toISOString()
  return localDate(timezone, ms) === localDate(timezone, nowMs) ? at.slice(11, 16) : `${at.slice(0, 10)} ${at.slice(11, 16)}`
}
