import { render } from 'preact'
import 'uplot/dist/uPlot.min.css'
import { Page } from './page.tsx'
import './style.css'

const host = document.getElementById('app')
if (host === null) throw new Error('the page has no #app')
render(<Page />, host)
