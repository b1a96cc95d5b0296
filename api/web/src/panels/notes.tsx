// What a shift must know about the picture itself, above everything else, in a place that is always there: the connection, the log's
// clock, what the registry got wrong. Nothing below moves when a note comes or goes.
import { formatAge, formatTime } from '../format.ts'
import { t } from '../i18n.ts'
import {
  badValues,
  clockOffMs,
  connection,
  logStillMs,
  lostSinceMs,
  playback,
  registryProblems,
  resumed,
  staleSensors,
  status,
  timezone,
} from '../store.ts'

/** A log that has said nothing for so long is worth a word; ticks come every ten seconds. */
const STILL_MS = 40_000
/** Ages are the log's; a person compares with the clock on the wall. */
const CLOCK_OFF_MS = 5 * 60_000

export function Notes() {
  if (connection.value === 'lost')
    return (
      <div class="notes bad" role="alert">
        {t('conn.lost', { s: Math.round(lostSinceMs.value / 1000) })}
      </div>
    )
  const notes: string[] = []
  if (playback.value !== null) notes.push(t('play.banner', { time: formatTime(playback.value.atMs, timezone.value) }))
  if (logStillMs.value > STILL_MS) notes.push(t('fresh.logStill', { age: formatAge(logStillMs.value) }))
  if (clockOffMs.value > CLOCK_OFF_MS) notes.push(t('fresh.clockOff', { age: formatAge(clockOffMs.value) }))
  const { noPlace, twice } = registryProblems.value
  if (noPlace > 0) notes.push(t('fresh.noPlace', { n: noPlace }))
  if (twice > 0) notes.push(t('fresh.twice', { n: twice }))
  if (badValues.value > 0) notes.push(t('fresh.badValues', { n: badValues.value }))
  if (resumed.value !== '') notes.push(t(resumed.value))
  return (
    <div class={`notes${notes.length === 0 ? ' none' : ''}`}>
      {/* Only what is said is read out; the figures beside it change all the time. */}
      <span class="said" role="status">
        {notes.join(' · ')}
      </span>
      <Figures />
    </div>
  )
}

/** How much comes in, how far behind it is, how much of what is shown is old. */
function Figures() {
  const s = status.value
  const { stale, of } = staleSensors.value
  return (
    <span class="flow">
      <span class={stale > 0 ? 'some' : ''}>{t('fresh.stale', { n: stale, of })}</span>
      <span>
        {s === null ? '—' : Math.round(s.readingsPerSecond).toLocaleString()} {t('top.readings')}
      </span>
      <span>
        {s?.lagRecords == null ? '—' : s.lagRecords.toLocaleString()} {t('top.lag')}
      </span>
    </span>
  )
}
