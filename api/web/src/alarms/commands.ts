// What a person does to alarms. A key of its own for each press: a request repeated by the browser acts once.
import type { AlarmAction, AlarmView } from '#model/alarm.ts'
import { send } from '../connection.ts'
import { mergeAlarm } from '../store.ts'

/** @throws ApiError with the reason of a refusal. */
export async function actOnAlarm(key: string, action: AlarmAction, body: { reason?: string; until?: string } = {}): Promise<void> {
  const { alarm } = await send<{ alarm: AlarmView }>('POST', `/v1/alarms/${encodeURIComponent(key)}/${action}`, body)
  mergeAlarm(alarm)
}

/** Acknowledges what can be. */
export async function acknowledgeAll(alarms: readonly AlarmView[]): Promise<void> {
  const keys = alarms.filter((a) => a.actions.includes('acknowledge')).map((a) => a.key)
  for (let i = 0; i < keys.length; i += AT_ONCE) await send('POST', '/v1/alarms/acknowledge', { keys: keys.slice(i, i + AT_ONCE) })
}
const AT_ONCE = 500
