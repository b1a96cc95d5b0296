// Another moment: play, step, drag, type; as known then or as corrected now; a link to it.
import { useState } from 'preact/hooks'
import { MINUTE_MS, offsetMs, toIso } from '#model/time.ts'
import { formatTime } from '../format.ts'
import { t } from '../i18n.ts'
import { BACK_MS, leavePlayback, playing, playLoading, playProblem, playSpeed, SPEEDS, STEP_MS, seek } from '../playback.ts'
import { hrefOf } from '../router.ts'
import { mapPlace, nowMs, playback, selected, timezone } from '../store.ts'

/** `2026-03-01T10:15` in the utility's time zone. */
const localText = (ms: number): string => new Date(ms + offsetMs(timezone.value, ms)).toISOString().slice(0, 16)
function fromLocalText(text: string): number {
  const naive = Date.parse(`${text}:00Z`)
  return naive - offsetMs(timezone.value, naive - offsetMs(timezone.value, naive))
}

export function PlaybackBar() {
  const p = playback.value
  const [copied, setCopied] = useState(false)
  if (p === null) return null
  const share = async () => {
    const params = { at: toIso(p.atMs), mode: p.mode, ...(selected.value === null ? {} : { sel: selected.value }), c: mapPlace.value }
    const link = `${location.origin}${location.pathname}${hrefOf('map', params)}`
    history.replaceState(null, '', link)
    await navigator.clipboard?.writeText(link)
    setCopied(true)
    setTimeout(() => setCopied(false), 3000)
  }
  return (
    <section class="playback" aria-label={t('play.title')} data-testid="playback">
      <button
        type="button"
        class="primary"
        onClick={() => {
          playing.value = !playing.value
        }}
      >
        {t(playing.value ? 'play.pause' : 'play.play')}
      </button>
      <button type="button" aria-label={`${t('play.step')} −`} onClick={() => void seek(p.atMs - STEP_MS)}>
        −
      </button>
      <button type="button" aria-label={`${t('play.step')} +`} onClick={() => void seek(p.atMs + STEP_MS)}>
        +
      </button>
      <output>{formatTime(p.atMs, timezone.value)}</output>
      <input
        type="datetime-local"
        aria-label={t('play.time')}
        value={localText(p.atMs)}
        onChange={(event) => {
          const ms = fromLocalText(event.currentTarget.value)
          if (Number.isFinite(ms)) void seek(ms)
        }}
      />
      <label>
        {t('play.speed')}{' '}
        <select
          value={playSpeed.value}
          onChange={(event) => {
            playSpeed.value = Number(event.currentTarget.value)
          }}
        >
          {SPEEDS.map((s) => (
            <option key={s} value={s}>
              ×{s}
            </option>
          ))}
        </select>
      </label>
      <select aria-label={t('play.title')} value={p.mode} onChange={(event) => void seek(p.atMs, event.currentTarget.value as 'known')}>
        <option value="known">{t('play.asKnown')}</option>
        <option value="corrected">{t('play.asCorrected')}</option>
      </select>
      <button type="button" onClick={() => void share()}>
        {t(copied ? 'play.shared' : 'play.share')}
      </button>
      <button type="button" class="primary" onClick={leavePlayback}>
        {t('play.live')}
      </button>
      <span role="status">{playProblem.value !== '' ? playProblem.value : playLoading.value ? t('play.loading') : ''}</span>
      <input
        type="range"
        aria-label={t('play.time')}
        min={Math.floor((nowMs.value - BACK_MS) / MINUTE_MS)}
        max={Math.floor(nowMs.value / MINUTE_MS)}
        step={STEP_MS / MINUTE_MS}
        value={Math.floor(p.atMs / MINUTE_MS)}
        onInput={(event) => void seek(Number(event.currentTarget.value) * MINUTE_MS)}
      />
    </section>
  )
}
