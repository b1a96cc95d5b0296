// What the marks mean, with the numbers.
import { t } from '../i18n.ts'
import { PRESSURE_HIGH_BAR, PRESSURE_LOW_BAR, PRESSURE_VERY_LOW_BAR } from '../store.ts'

export function Legend() {
  return (
    <details class="legend" open={innerHeight > 700}>
      <summary>{t('legend.title')}</summary>
      <b>{t('legend.pressure')}</b>
      <p>
        <i class="dot normal" /> {t('legend.normal')}
      </p>
      <p>
        <i class="dot critical" /> {t('legend.veryLow', { v: PRESSURE_VERY_LOW_BAR })}
      </p>
      <p>
        <i class="dot major" /> {t('legend.low', { v: PRESSURE_LOW_BAR })}
      </p>
      <p>
        <i class="dot minor" /> {t('legend.high', { v: PRESSURE_HIGH_BAR })}
      </p>
      <p>
        <i class="dot stale" /> {t('legend.stale')}
      </p>
      <b>{t('legend.load')}</b>
      <p>
        <i class="box normal" /> {t('legend.loadNormal')}
      </p>
      <p>
        <i class="box minor" /> {t('legend.loadHigh')}
      </p>
      <p>
        <i class="box major" /> {t('legend.loadOver')}
      </p>
      <p>
        <i class="box dark">✕</i> {t('legend.dark')}
      </p>
      <p>
        <i class="line" /> {t('legend.candidate')}
      </p>
      <p>
        <i class="dot crew" /> {t('legend.crew')}
      </p>
    </details>
  )
}
