// The rules of validation by name, as they stand in `rules` of a reading, `reasons` of an interval and `rules` of a day. Each has a file in
// processors/validation/rules/; a test compares the two lists. The names are those of the field (Oracle, Itron, EEI and AEMO lists).

/** Where a rule is asked: at each reading, interval of a register, local day of a register. `method`: no rule, but how a value was made. */
export type RuleLevel = 'read' | 'interval' | 'day' | 'method'

export interface RuleText {
  level: RuleLevel
  /** What makes it fire, in one sentence. */
  en: string
  zh: string
}

export const VALIDATION_RULES = {
  duplicate: { level: 'read', en: 'The same series, time and value came before.', zh: '同一序列、时间和数值的重复读数。' },
  conflicting_value: {
    level: 'read',
    en: 'The same series and time came before with another value.',
    zh: '同一序列和时间此前已有不同数值。',
  },
  time_tolerance: {
    level: 'read',
    en: 'Stamped later than it was received, by more than the tolerance.',
    zh: '读数时间晚于接收时间且超出允许范围。',
  },
  clock_drift: {
    level: 'read',
    en: 'The device clock differs from ours, read after read.',
    zh: '设备时钟与系统时钟持续偏差。',
  },
  late: { level: 'read', en: 'Older than what is known of the series.', zh: '早于该序列已有读数的迟到读数。' },
  out_of_line: {
    level: 'read',
    en: 'Late, and not between its neighbours.',
    zh: '迟到且不介于相邻读数之间。',
  },
  negative: {
    level: 'read',
    en: 'A register lower than before that no rollover explains.',
    zh: '表底数倒退且无法用翻转解释。',
  },
  high: { level: 'read', en: 'A rise that the connection could not have carried.', zh: '增量超过接入容量的物理上限。' },
  rollover: { level: 'read', en: 'The register passed its last value and began again.', zh: '表底数到达满度后翻转。' },
  range: { level: 'read', en: 'A value outside the physical range of its quantity.', zh: '数值超出该物理量的合理范围。' },
  stuck: { level: 'read', en: 'Equal values far longer than ever before.', zh: '数值长时间不变。' },
  transient_spike: {
    level: 'interval',
    en: 'One or more reads out of line, those after them in line again.',
    zh: '个别读数偏离，其后恢复正常。',
  },
  step: { level: 'interval', en: 'A jump of the register that stays.', zh: '表底数跳变且保持。' },
  silent_exchange: {
    level: 'interval',
    en: 'A fall that stays and that nobody announced.',
    zh: '表底数下降且保持，未登记换表。',
  },
  meter_exchange: { level: 'interval', en: 'An exchange that was announced.', zh: '已登记的换表。' },
  register_reset: { level: 'interval', en: 'A reset that was announced.', zh: '已登记的表底清零。' },
  erratic: { level: 'interval', en: 'Many reads waited and no three agree.', zh: '多个读数互不一致。' },
  stuck_register: {
    level: 'interval',
    en: 'The register reads on without moving, far longer than it ever rested.',
    zh: '表仍在上报但底数长期不动。',
  },
  spike: {
    level: 'interval',
    en: 'An interval far above the highest seen; a value that leaps until the next one agrees.',
    zh: '区间值远高于历史最高；或瞬时值突变待确认。',
  },
  gap: { level: 'interval', en: 'Reads are absent.', zh: '缺少读数。' },
  no_read: { level: 'interval', en: 'No later read after the wait.', zh: '等待期满仍无读数。' },
  sum_check: {
    level: 'day',
    en: 'The intervals of the day do not add up to the difference of its register.',
    zh: '当日各区间之和与表底差不符。',
  },
  sum_check_tariffs: {
    level: 'day',
    en: 'The registers by tariff do not add up to the total register.',
    zh: '各费率表底增量之和与总表底增量不符。',
  },
  sum_check_transformer: {
    level: 'day',
    en: "What the transformer's meter counted and its customers do not fit: losses out of bounds.",
    zh: '台区总表与用户电量不平衡，损耗超限。',
  },
  sum_check_district: {
    level: 'day',
    en: "What flowed into the district and its customers' use do not fit: losses out of bounds.",
    zh: '分区进水量与用户用水不平衡，漏损超限。',
  },
  high_usage: { level: 'day', en: 'Use far above like days.', zh: '用量远高于同类日。' },
  low_usage: { level: 'day', en: 'Use far below like days.', zh: '用量远低于同类日。' },
  zero_usage: { level: 'day', en: 'No use in a day of a meter that always shows some.', zh: '一贯有用量的表当日为零。' },
  inactive_account: { level: 'day', en: 'Use where nobody has a contract.', zh: '无有效账户却有用量。' },
  reactive: {
    level: 'day',
    en: 'Reactive energy is missing, alone, or gives an extreme power factor.',
    zh: '无功缺失、单独出现或功率因数异常。',
  },
  unit_multiplier: {
    level: 'day',
    en: 'Use is off by a power of ten or by the multiplier, day after day.',
    zh: '用量连续多日相差十的幂或倍率。',
  },
  prolonged_estimation: { level: 'day', en: 'Mostly estimated for too long.', zh: '长期以估算为主。' },
  interval_size: {
    level: 'day',
    en: 'Reads come at another spacing than the registry says.',
    zh: '读数间隔与台账不符。',
  },
  missing_sibling: { level: 'day', en: 'Another register of the device has no data.', zh: '同一设备的其他通道无数据。' },
  interpolated: {
    level: 'method',
    en: 'Reads lie off the grid: the register at the boundary is interpolated.',
    zh: '读数不在整点，边界值由插值得出。',
  },
  outage: { level: 'method', en: 'Without supply: zero.', zh: '停电期间：零。' },
  linear: { level: 'method', en: 'Estimated by a straight line.', zh: '线性插值估算。' },
  balance: { level: 'method', en: "Estimated from the transformer's balance.", zh: '由台区平衡估算。' },
  like_day: { level: 'method', en: 'Estimated from like days.', zh: '按同类日估算。' },
  class_profile: { level: 'method', en: 'Estimated from the profile of the class of meters.', zh: '按用户类别典型曲线估算。' },
  manual_edit: { level: 'method', en: 'Written by a person.', zh: '人工修改。' },
  recalculated: { level: 'method', en: 'Calculated anew by another multiplier.', zh: '按新倍率重算。' },
} as const satisfies Record<string, RuleText>

export type ValidationRule = keyof typeof VALIDATION_RULES
export const RULE_NAMES = Object.keys(VALIDATION_RULES) as readonly ValidationRule[]

/** Classes of meters by which settings can differ and counts are kept. */
export const METER_CLASSES = ['power_household', 'power_large', 'power_check', 'water_household', 'water_large', 'other', 'sensor'] as const
export type MeterClass = (typeof METER_CLASSES)[number]

/** Firings of a rule in a zone on a local day (log time). Cumulative within the day. */
export interface RuleCount {
  zone: string
  /** Local date. */
  date: string
  rule: ValidationRule
  class: MeterClass
  fired: number
}
