// Entry of the page.
import { render } from 'preact'
import 'maplibre-gl/dist/maplibre-gl.css'
import 'uplot/dist/uPlot.min.css'
import { App } from './app.tsx'
import { start } from './connection.ts'
import { language } from './i18n.ts'
import { followLinks } from './link.ts'
import './style.css'
import './styles/room.css'
import './styles/desk.css'
import './styles/billing.css'
import { applyTheme } from './theme.ts'

followLinks()
applyTheme()
document.documentElement.lang = language.value
const root = document.getElementById('app')
if (root === null) throw new Error('index.html has no #app')
render(<App />, root)
await start()
