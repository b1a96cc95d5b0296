// What a customer is told about findings, in plain words. Never a suspicion about the customer: bypass, tampering and the like are the
// utility's business until a person has looked. Pure.
import type { Finding } from '#model/finding.ts'
import { MINUTE_MS, parseIso } from '#model/time.ts'

export interface Notice {
  kind: 'leak' | 'outage' | 'planned_outage' | 'high_usage' | 'low_pressure' | 'meter_silent'
  /** ISO; null end: it lasts, or nobody knows yet. */
  from: string
  to: string | null
  urgent: boolean
  text: { en: string; zh: string }
}

export interface PlannedWork {
  kind: string
  from: string
  to: string
  note: string
}

type Plain = Pick<Finding, 'kind' | 'subtype' | 'startedAt' | 'clearedAt' | 'size' | 'momentary'>

const number = (v: number) => String(v >= 10 ? Math.round(v) : Math.round(v * 10) / 10)

/** Undefined for what a customer is not told. */
export function noticeOf(f: Plain): Notice | undefined {
  const over = f.clearedAt !== null
  const base = { from: f.startedAt, to: f.clearedAt, urgent: !over }
  switch (f.kind) {
    case 'customer_leak':
      return { ...base, kind: 'leak', text: leakText(f, over) }
    case 'outage':
      if (f.momentary === true) return undefined
      return { ...base, kind: 'outage', text: outageText(f, over) }
    case 'low_pressure':
      return {
        ...base,
        kind: 'low_pressure',
        text: over
          ? { en: 'Water pressure in your area was low; it is normal again.', zh: '您所在区域的水压曾偏低，现已恢复正常。' }
          : { en: 'Water pressure in your area is low. We are looking into it.', zh: '您所在区域的水压偏低，我们正在处理。' },
      }
    case 'comms_failure':
      return {
        ...base,
        urgent: false,
        kind: 'meter_silent',
        text: over
          ? { en: 'Your meter could not be read for a while; it is read again.', zh: '您的表计曾有一段时间无法读取，现已恢复。' }
          : {
              en: 'Your meter cannot be read at present. Missing use is estimated and corrected when the reading arrives.',
              zh: '目前无法读取您的表计。缺失的用量为估算值，读数到达后将予以更正。',
            },
      }
    case 'abnormal_usage':
      return f.subtype === 'high_usage' ? { ...base, urgent: false, kind: 'high_usage', text: highText(f, over) } : undefined
    default:
      return undefined
  }
}

function leakText(f: Plain, over: boolean): Notice['text'] {
  if (over) return { en: 'Water ran without a break; it has stopped.', zh: '此前用水持续不断，现已停止。' }
  const m3h = f.size?.flowM3h ?? (f.size?.lph === undefined ? undefined : f.size.lph / 1000)
  const rate = m3h === undefined ? '' : number(m3h * 1000)
  return {
    en: `Water has been running without a break${rate === '' ? '' : `, about ${rate} litres an hour`}. Please check toilets, taps and pipes.`,
    zh: `用水一直未曾停止${rate === '' ? '' : `，约每小时 ${rate} 升`}。请检查马桶、水龙头和管道。`,
  }
}

function outageText(f: Plain, over: boolean): Notice['text'] {
  if (!over) return { en: 'There is a power outage at your address. We know about it.', zh: '您的地址正在停电，我们已获知并在处理。' }
  const minutes = number((parseIso(f.clearedAt ?? f.startedAt) - parseIso(f.startedAt)) / MINUTE_MS)
  return { en: `The power was out for ${minutes} minutes; it is back.`, zh: `停电 ${minutes} 分钟，现已恢复供电。` }
}

function highText(f: Plain, over: boolean): Notice['text'] {
  if (over) return { en: 'Your use was much higher than usual; it is normal again.', zh: '您的用量曾明显高于平时，现已恢复正常。' }
  const times = f.size?.timesUsual
  const by = times === undefined ? '' : ` (${number(times)} times)`
  return {
    en: `Your use is much higher than usual${by}. Something may be running that you do not know of.`,
    zh: `您的用量明显高于平时${times === undefined ? '' : `（${number(times)} 倍）`}，可能有您不知道的设备在运行。`,
  }
}

export function plannedNotice(o: PlannedWork): Notice {
  return {
    kind: 'planned_outage',
    from: o.from,
    to: o.to,
    urgent: false,
    text: { en: 'Planned work: the supply at your address will be interrupted.', zh: '计划施工：您的地址届时将停止供应。' },
  }
}
