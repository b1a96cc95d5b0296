// A finding with its evidence: in the detail of an asset, below an alarm, in a ticket.
import { Fragment } from 'preact'
import type { Finding } from '#model/finding.ts'
import { formatAge, formatSize, formatTime } from '../format.ts'
import { t, tData } from '../i18n.ts'
import { nowMs, selected, timezone } from '../store.ts'

export function titleOf(f: { kind: string; subtype?: string | undefined }): string {
  const sub = f.subtype === undefined || f.subtype === '' ? '' : ` · ${tData('sub', f.subtype)}`
  return `${tData('kind', f.kind)}${sub}`
}

export function FindingRow(props: { finding: Finding }) {
  const f = props.finding
  const ended = f.clearedAt !== null || f.withdrawn === true
  const since = Date.parse(f.startedAt)
  return (
    <li class={`row ${f.severity}${ended ? ' ended' : ''}`} data-finding={f.id} data-kind={f.kind}>
      <button
        type="button"
        class="row-main"
        onClick={() => {
          selected.value = f.scope.id
        }}
      >
        <span class={`mark ${f.severity}`} aria-hidden="true" />
        <span class="title">{titleOf(f)}</span>
        <span class="scope">{f.scope.id}</span>
        <span class="meta">
          {t(`severity.${f.severity}`)}
          {f.momentary === true && ` · ${t('state.momentary')}`}
          {f.withdrawn === true
            ? ` · ${t('state.withdrawn')}`
            : f.clearedAt !== null
              ? ` · ${t('state.cleared')} ${formatTime(Date.parse(f.clearedAt), timezone.value)}`
              : ''}
        </span>
        <span class="age" title={formatTime(since, timezone.value)}>
          {ended ? formatTime(since, timezone.value) : formatAge(nowMs.value - since)}
        </span>
        <FindingFacts finding={f} />
      </button>
      <details>
        <summary>{t('col.evidence')}</summary>
        <Evidence finding={f} />
      </details>
    </li>
  )
}

export function FindingFacts(props: { finding: Finding }) {
  const f = props.finding
  return (
    <span class="facts">
      {f.size !== undefined && <span>{formatSize(f.size, timezone.value)}</span>}
      {f.affected !== undefined && f.affected.length > 0 && (
        <span>
          {t('col.affected')}: {f.affected.length}
        </span>
      )}
      <span>
        {t('col.confidence')}: {Math.round(f.confidence * 100)} %
      </span>
    </span>
  )
}

const shown = (v: unknown): string =>
  Array.isArray(v) ? v.slice(0, 12).map(shown).join(', ') : typeof v === 'number' ? String(Number(v.toPrecision(5))) : String(v)

export function Evidence(props: { finding: Finding }) {
  const f = props.finding
  return (
    <dl class="evidence">
      <dt>{t('col.detected')}</dt>
      <dd>{formatTime(Date.parse(f.detectedAt), timezone.value)}</dd>
      <dt>{t('col.reason')}</dt>
      <dd>{f.reason}</dd>
      {f.candidates !== undefined && f.candidates.length > 0 && (
        <>
          <dt>{t('col.candidates')}</dt>
          <dd>
            {f.candidates.slice(0, 5).map((c) => (
              <button
                type="button"
                class="link"
                key={c.id}
                onClick={() => {
                  selected.value = c.id
                }}
              >
                {c.id}
              </button>
            ))}
          </dd>
        </>
      )}
      {f.evidence.map((e) => (
        <Fragment key={JSON.stringify(e)}>
          <dt>{e.what.replaceAll(/[_-]/g, ' ')}</dt>
          <dd>
            {Object.entries(e)
              .filter(([k]) => k !== 'what')
              .map(([k, v]) => `${k} ${shown(v)}`)
              .join(' · ')}
          </dd>
        </Fragment>
      ))}
    </dl>
  )
}
