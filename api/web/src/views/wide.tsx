// Views beside the map, each loaded when it is first opened.
import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import type { View } from '../router.ts'

const LOADERS: Record<Exclude<View, 'map'>, () => Promise<{ View: ComponentType }>> = {
  desk: () => import('./desk.tsx'),
  boards: () => import('./boards.tsx'),
  report: () => import('./report.tsx'),
  tuning: () => import('./tuning.tsx'),
  billing: () => import('./billing.tsx'),
}
const loaded = new Map<string, ComponentType>()

export function Wide(props: { view: Exclude<View, 'map'> }) {
  const { view } = props
  const [, setCount] = useState(0)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    if (loaded.has(view)) return
    LOADERS[view]().then(
      (module) => {
        loaded.set(view, module.View)
        setCount((n) => n + 1)
      },
      (error: Error) => setProblem(error.message),
    )
  }, [view])
  const Content = loaded.get(view)
  return (
    <section class="wide" aria-label={t(`view.${view}`)}>
      {Content !== undefined ? (
        <Content />
      ) : (
        <p class="empty">{problem === '' ? t('detail.loading') : t('detail.unavailable', { why: problem })}</p>
      )}
    </section>
  )
}
