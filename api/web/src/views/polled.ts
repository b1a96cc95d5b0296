// An answer of the api, asked for again every so often while the view is open.
import { useEffect, useState } from 'preact/hooks'
import { get } from '../connection.ts'

const USUAL_MS = 15_000

/** The answer, a problem in words, or null while the first is on its way. The last answer stays while a later one fails once. */
export function usePolled<T>(path: string, everyMs = USUAL_MS): T | string | null {
  const [data, setData] = useState<T | string | null>(null)
  useEffect(() => {
    let current = true
    const load = () =>
      get<T>(path).then(
        (answer) => {
          if (current) setData(answer)
        },
        (error: Error) => {
          if (current) setData((old) => (typeof old === 'object' && old !== null ? old : error.message))
        },
      )
    setData(null)
    void load()
    const timer = setInterval(load, everyMs)
    return () => {
      current = false
      clearInterval(timer)
    }
  }, [path, everyMs])
  return data
}
