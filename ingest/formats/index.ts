// Every gateway format there is, in the order in which `auto` asks them. A new format is a file beside this one and a line here.
import type { GatewayFormat } from '../format.ts'
import { amsreader } from './amsreader.ts'
import { chirpstack } from './chirpstack.ts'
import { cloud } from './cloud.ts'
import { cnConcentrator } from './cn-concentrator.ts'
import { dlmsPush } from './dlms-push.ts'
import { dsmr } from './dsmr.ts'
import { glow } from './glow.ts'
import { lwm2m } from './lwm2m.ts'
import { native } from './native.ts'
import { obisJson } from './obis-json.ts'
import { owntracks } from './owntracks.ts'
import { rtl433 } from './rtl_433.ts'
import { rtlamr } from './rtlamr.ts'
import { rtlamr2mqtt } from './rtlamr2mqtt.ts'
import { senml } from './senml.ts'
import { shelly } from './shelly.ts'
import { sparkplug } from './sparkplug.ts'
import { tasmota } from './tasmota.ts'
import { thingsboard } from './thingsboard.ts'
import { tts } from './tts.ts'
import { wmbusmeters } from './wmbusmeters.ts'
import { zigbee2mqtt } from './zigbee2mqtt.ts'

export const FORMATS: readonly GatewayFormat[] = [
  native,
  chirpstack,
  tts,
  wmbusmeters,
  thingsboard,
  zigbee2mqtt,
  glow,
  sparkplug,
  dsmr,
  cnConcentrator,
  dlmsPush,
  tasmota,
  shelly,
  rtl433,
  rtlamr,
  rtlamr2mqtt,
  amsreader,
  obisJson,
  lwm2m,
  cloud,
  owntracks,
  senml,
]
