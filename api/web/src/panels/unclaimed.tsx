// Devices that report and that nobody has registered: what they said last, and a form that claims one.
import { useState } from 'preact/hooks'
import { send } from '../connection.ts'
import { formatTime } from '../format.ts'
import { t, tData } from '../i18n.ts'
import { timezone } from '../store.ts'

export interface UnclaimedDevice {
  id: string
  gateway: string
  gateways: string[]
  count: number
  firstSeen: string
  lastSeen: string
  values: { quantity: string; value: number; ts: string | null; channel: string }[]
  signalDbm: number | null
}

const KINDS = ['water_meter', 'electric_meter', 'flow_meter', 'pressure_sensor', 'level_sensor', 'pump_sensor'] as const

/** What most devices with this quantity are. */
function likelyKind(device: UnclaimedDevice): (typeof KINDS)[number] {
  const has = (part: RegExp) => device.values.some((v) => part.test(v.quantity))
  if (has(/^active_energy|^voltage|^power_kw/)) return 'electric_meter'
  if (has(/^water_volume|^register_count/)) return 'water_meter'
  if (has(/^flow/)) return 'flow_meter'
  if (has(/^level/)) return 'level_sensor'
  return has(/^pump/) ? 'pump_sensor' : 'pressure_sensor'
}

export function UnclaimedList(props: { devices: UnclaimedDevice[] }) {
  if (props.devices.length === 0) return <p class="empty">{t('sys.unclaimedNone')}</p>
  return (
    <ul class="quarantine">
      {props.devices.map((d) => (
        <UnclaimedItem key={d.id} device={d} />
      ))}
    </ul>
  )
}

function UnclaimedItem({ device }: { device: UnclaimedDevice }) {
  const time = (iso: string) => formatTime(Date.parse(iso), timezone.value)
  return (
    <li>
      <b>{device.id}</b>{' '}
      <small>
        {device.values.map((v) => `${tData('quantity', v.quantity)}${v.channel === '' ? '' : ` ${v.channel}`} ${v.value}`).join(', ')}
        {device.signalDbm === null ? '' : ` · ${device.signalDbm} dBm`}
        {` · ${t('sys.unclaimedSeen', { n: device.count, gateway: device.gateways.join(', '), from: time(device.firstSeen), to: time(device.lastSeen) })}`}
      </small>
      <ClaimForm device={device} />
    </li>
  )
}

function ClaimForm({ device }: { device: UnclaimedDevice }) {
  const [open, setOpen] = useState(false)
  const [kind, setKind] = useState<string>(likelyKind(device))
  const [zone, setZone] = useState('')
  const [account, setAccount] = useState('')
  const [told, setTold] = useState('')
  if (!open)
    return (
      <button type="button" onClick={() => setOpen(true)}>
        {t('sys.claim')}
      </button>
    )
  const claim = async (event: Event): Promise<void> => {
    event.preventDefault()
    const body = { kind, ...(zone === '' ? {} : { zone }), ...(account === '' ? {} : { account }) }
    try {
      const done = await send<{ released: number; waiting: number }>(
        'POST',
        `/v1/devices/unclaimed/${encodeURIComponent(device.id)}/claim`,
        body,
      )
      setTold(t('sys.claimed', { n: done.released, waiting: done.waiting }))
    } catch (error) {
      setTold((error as Error).message)
    }
  }
  const text = (set: (value: string) => void) => (event: Event) => set((event.currentTarget as HTMLInputElement).value.trim())
  return (
    <form class="claim" onSubmit={(event) => void claim(event)}>
      <select value={kind} aria-label={t('sys.claimKind')} onChange={text(setKind)}>
        {KINDS.map((k) => (
          <option key={k} value={k}>
            {k.replace('_', ' ')}
          </option>
        ))}
      </select>
      <input value={zone} placeholder={t('sys.claimZone')} aria-label={t('sys.claimZone')} onInput={text(setZone)} />
      <input value={account} placeholder={t('sys.claimAccount')} aria-label={t('sys.claimAccount')} onInput={text(setAccount)} />
      <button type="submit">{t('sys.claim')}</button> <output>{told}</output>
    </form>
  )
}
