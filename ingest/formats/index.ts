// Every gateway format there is, in the order in which `auto` asks them. A new format is a file beside this one and a line here.
import type { GatewayFormat } from '../format.ts'
import { native } from './native.ts'

export const FORMATS: readonly GatewayFormat[] = [native]
