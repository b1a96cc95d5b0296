// Icons drawn on a canvas, so that no sprite is fetched: a transformer filled to its load, a flow meter, a crew, an incident.

const RATIO = 2

function canvas(size: number): [CanvasRenderingContext2D, number] {
  const c = document.createElement('canvas')
  c.width = size * RATIO
  c.height = size * RATIO
  const g = c.getContext('2d', { willReadFrequently: true })
  if (g === null) throw new Error('this browser has no 2D canvas')
  g.scale(RATIO, RATIO)
  return [g, size]
}

function image(g: CanvasRenderingContext2D, size: number): ImageData {
  return g.getImageData(0, 0, size * RATIO, size * RATIO)
}

export const ICON_RATIO = RATIO

/** A square filled from below to `tenths` of ten; dark ones carry a cross, so that colour is not the only sign. */
export function transformerIcon(tenths: number, fill: string, edge: string, ground: string, dark: boolean): ImageData {
  const [g, size] = canvas(18)
  g.fillStyle = ground
  g.fillRect(2, 2, 14, 14)
  const h = (12 * Math.min(10, tenths)) / 10
  g.fillStyle = fill
  g.fillRect(3, 15 - h, 12, h)
  g.strokeStyle = dark ? fill : edge
  g.lineWidth = dark ? 2 : 1.5
  g.strokeRect(2.75, 2.75, 12.5, 12.5)
  if (dark) {
    g.lineWidth = 2.5
    g.beginPath()
    g.moveTo(5, 5)
    g.lineTo(13, 13)
    g.moveTo(13, 5)
    g.lineTo(5, 13)
    g.stroke()
  }
  return image(g, size)
}

/** A diamond: a flow meter. */
export function flowMeterIcon(edge: string, ground: string): ImageData {
  const [g, size] = canvas(16)
  g.beginPath()
  g.moveTo(8, 2)
  g.lineTo(14, 8)
  g.lineTo(8, 14)
  g.lineTo(2, 8)
  g.closePath()
  g.fillStyle = ground
  g.fill()
  g.strokeStyle = edge
  g.lineWidth = 2
  g.stroke()
  return image(g, size)
}

/** A triangle in a circle: a crew; hollow when its position is old. */
export function crewIcon(colour: string, ground: string, stale: boolean): ImageData {
  const [g, size] = canvas(22)
  g.beginPath()
  g.arc(11, 11, 9, 0, 2 * Math.PI)
  g.fillStyle = stale ? ground : colour
  g.fill()
  g.strokeStyle = colour
  g.lineWidth = 2
  if (stale) g.setLineDash([3, 2])
  g.stroke()
  g.setLineDash([])
  g.beginPath()
  g.moveTo(11, 5)
  g.lineTo(16, 15)
  g.lineTo(6, 15)
  g.closePath()
  g.fillStyle = stale ? colour : ground
  g.fill()
  return image(g, size)
}

/** The mark of an incident by severity: its shape differs as well as its colour (square, triangle, disc, ring). */
export function incidentIcon(severity: 'critical' | 'major' | 'minor' | 'warning', colour: string, ground: string): ImageData {
  const [g, size] = canvas(26)
  g.beginPath()
  if (severity === 'critical') g.rect(4, 4, 18, 18)
  else if (severity === 'major') {
    g.moveTo(13, 3)
    g.lineTo(24, 22)
    g.lineTo(2, 22)
    g.closePath()
  } else g.arc(13, 13, 9, 0, 2 * Math.PI)
  g.fillStyle = colour
  g.fill()
  g.strokeStyle = ground
  g.lineWidth = 2
  g.stroke()
  g.fillStyle = ground
  g.font = 'bold 13px sans-serif'
  g.textAlign = 'center'
  g.textBaseline = 'middle'
  g.fillText(severity === 'warning' ? 'i' : '!', 13, severity === 'major' ? 16 : 13.5)
  return image(g, size)
}
