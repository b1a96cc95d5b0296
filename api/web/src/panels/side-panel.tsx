// Alarms, tickets and the state of the system, one at a time, always in the same place.
import { TO_ANSWER } from '../alarms/groups.ts'
import { t } from '../i18n.ts'
import { alarms, SIDE_TABS, sideTab, tickets } from '../store.ts'
import { AlarmList } from './alarms.tsx'
import { SystemBoard } from './system.tsx'
import { TicketList } from './tickets.tsx'

export function SidePanel() {
  const tab = sideTab.value
  const counts = {
    alarms: [...alarms.value.values()].filter((a) => TO_ANSWER.includes(a.state)).length,
    tickets: [...tickets.value.values()].filter((x) => x.closedAt === null && x.state !== 'cancelled').length,
    system: undefined,
  }
  return (
    <aside class="side">
      <div role="tablist" class="tabs">
        {SIDE_TABS.map((name) => (
          <button
            type="button"
            role="tab"
            key={name}
            id={`tab-${name}`}
            aria-selected={tab === name}
            aria-controls="side-body"
            onClick={() => {
              sideTab.value = name
            }}
          >
            {t(`tab.${name}`)} {counts[name] !== undefined && <span class="count">{counts[name]}</span>}
          </button>
        ))}
      </div>
      <div class="side-body" id="side-body" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === 'alarms' && <AlarmList />}
        {tab === 'tickets' && <TicketList />}
        {tab === 'system' && <SystemBoard />}
      </div>
    </aside>
  )
}
