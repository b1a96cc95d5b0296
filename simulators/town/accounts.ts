// Customers of the simulated town. Every name, number and address is made up: telephone numbers are from no one's range and mail goes to
// example.org, which exists for that (RFC 2606).
import { makeRandom, type Random } from '../random.ts'
import type { TownPlan } from './plan.ts'
import type { ElectricMeter, Premise, TownAccount, WaterMeter } from './types.ts'

const FAMILY: readonly (readonly [string, string])[] = [
  ['Wang', '王'],
  ['Li', '李'],
  ['Zhang', '张'],
  ['Liu', '刘'],
  ['Chen', '陈'],
  ['Yang', '杨'],
  ['Zhao', '赵'],
  ['Huang', '黄'],
  ['Zhou', '周'],
  ['Wu', '吴'],
  ['Xu', '徐'],
  ['Sun', '孙'],
  ['Hu', '胡'],
  ['Zhu', '朱'],
  ['Gao', '高'],
  ['Lin', '林'],
  ['He', '何'],
  ['Guo', '郭'],
  ['Ma', '马'],
  ['Luo', '罗'],
]
const GIVEN: readonly (readonly [string, string])[] = [
  ['Wei', '伟'],
  ['Fang', '芳'],
  ['Na', '娜'],
  ['Min', '敏'],
  ['Jing', '静'],
  ['Lei', '磊'],
  ['Yan', '燕'],
  ['Jun', '军'],
  ['Ping', '萍'],
  ['Hao', '浩'],
  ['Ting', '婷'],
  ['Bo', '波'],
  ['Hui', '慧'],
  ['Kai', '凯'],
  ['Xue', '雪'],
  ['Peng', '鹏'],
  ['Lan', '兰'],
  ['Tao', '涛'],
  ['Rui', '瑞'],
  ['Yun', '云'],
]
const BUSINESS: Partial<Record<Premise['type'], readonly [string, string]>> = {
  shop: ['Shop', '商店'],
  restaurant: ['Restaurant', '饭店'],
  office: ['Offices', '办公楼'],
  school: ['School', '学校'],
  hotel: ['Hotel', '酒店'],
  hospital: ['Hospital', '医院'],
  workshop: ['Workshop', '工坊'],
  industry: ['Works', '工厂'],
  flats: ['Residents', '业主委员会'],
}

/** Share of households that are vulnerable (medical devices, old age). */
const VULNERABLE = 0.035
/** From these sizes on a customer is a key account: a few per mille of customers, about two fifths of the volume. */
const LARGE_M3D = 50
const LARGE_KWH = 150_000

/**
 * One account per premise, one more for every flat with its own electric meter. Sets `account` on the meters. Deterministic by seed.
 */
export function buildAccounts(
  plan: TownPlan,
  premises: readonly Premise[],
  waterMeters: readonly WaterMeter[],
  electricMeters: readonly ElectricMeter[],
): TownAccount[] {
  const r = makeRandom(plan.seed * 389 + 41)
  const out: TownAccount[] = []
  const ofPremise = new Map<number, TownAccount>()
  for (const m of waterMeters) {
    const p = premises[m.premise] as Premise
    const a = account(out.length, p.type, p.waterM3d >= LARGE_M3D, r)
    a.tariffWater = 'water-standard'
    m.account = a.account
    ofPremise.set(m.premise, a)
    out.push(a)
  }
  for (const m of electricMeters) {
    if (m.role !== 'customer') continue
    let a = m.type === 'flat' ? undefined : ofPremise.get(m.premise)
    if (a === undefined) {
      a = account(out.length, 'house', false, r)
      out.push(a)
    }
    if (m.yearlyKwh >= LARGE_KWH && a.segment === 'general') a.segment = 'large'
    a.tariffPower = 'power-standard'
    m.account = a.account
  }
  return out
}

function account(index: number, type: Premise['type'], large: boolean, r: Random): TownAccount {
  const id = `A-${100_001 + index}`
  const family = r.pick(FAMILY)
  const given = r.pick(GIVEN)
  const zh = r.next() < 0.7
  const business = BUSINESS[type]
  const person = zh ? `${family[1]}${given[1]}` : `${given[0]} ${family[0]}`
  const name = business === undefined ? person : zh ? `${given[1]}${family[1]}${business[1]}` : `${family[0]} ${given[0]} ${business[0]}`
  const special = type === 'hospital' || type === 'school'
  const home = business === undefined || type === 'flats'
  const vulnerable = home && r.next() < VULNERABLE
  return {
    account: id,
    name,
    segment: special ? 'special' : large ? 'large' : vulnerable ? 'vulnerable' : 'general',
    phone: `+86 100 5550 ${String(1000 + (index % 9000)).padStart(4, '0')}`,
    email: `${id.toLowerCase()}@example.org`,
    language: zh ? 'zh' : 'en',
    tariffWater: '',
    tariffPower: '',
  }
}
