// Open findings, most severe first; what ended in the last day below, so that nothing vanishes unexplained.
import type { Finding } from '#model/finding.ts'
import { formatAge, formatSize, formatTime } from '../format.ts'
import { t, tData } from '../i18n.ts'
import { closedFindings, nowMs, openFindings, selected, timezone } from '../store.ts'

export function AlarmList() {
  return (
    <>
      {openFindings.value.length === 0 && <p class="empty">{t('alarms.none')}</p>}
      <ul class="list" data-testid="open-findings">
        {openFindings.value.map((f) => (
          <FindingRow key={f.id} finding={f} />
        ))}
      </ul>
      {closedFindings.value.length > 0 && <h3>{t('alarms.recent')}</h3>}
      <ul class="list ended">
        {closedFindings.value.map((f) => (
          <FindingRow key={f.id} finding={f} />
        ))}
      </ul>
    </>
  )
}

export function titleOf(f: Finding): string {
  const sub = f.subtype === undefined ? '' : ` · ${tData('sub', f.subtype)}`
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
        <span class="facts">
          {f.size !== undefined && <span>{formatSize(f.size)}</span>}
          {f.affected !== undefined && f.affected.length > 0 && (
            <span>
              {t('col.affected')}: {f.affected.length}
            </span>
          )}
          <span>
            {t('col.confidence')}: {Math.round(f.confidence * 100)} %
          </span>
        </span>
      </button>
      <details>
        <summary>{t('col.evidence')}</summary>
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
            <>
              <dt>{e.what.replaceAll('_', ' ')}</dt>
              <dd>
                {Object.entries(e)
                  .filter(([k]) => k !== 'what')
                  .map(
                    ([k, v]) =>
                      `${k} ${Array.isArray(v) ? v.slice(0, 12).join(', ') : typeof v === 'number' ? Number(v.toPrecision(5)) : String(v)}`,
                  )
                  .join(' · ')}
              </dd>
            </>
          ))}
        </dl>
      </details>
    </li>
  )
}
