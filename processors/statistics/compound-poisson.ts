// Water used in an hour is a Poisson number of draws of exponential size: zero with probability exp(-rate), else spread over the
// litres. Closed form by the Bessel function I1 (Cunnane, "A particular comparison of annual maxima and partial duration series
// methods", J. Hydrology 18 (1973); the same law is Tweedie's with power 1.5). Buchberger and Wu, "Model for instantaneous residential
// water demands", ASCE J. Hydraulic Engineering 121 (1995), is the reason for Poisson pulses.

/** ln I1(z) for z > 0; Abramowitz and Stegun 9.8.3 and 9.8.4, relative error of I1 below 3e-7. */
export function logBesselI1(z: number): number {
  if (z <= 3.75) {
    const t = (z / 3.75) ** 2
    return Math.log(z * (0.5 + t * (0.87890594 + t * (0.51498869 + t * (0.15084934 + t * (0.02658733 + t * (0.00301532 + t * 0.00032411)))))))
  }
  const t = 3.75 / z
  const p =
    0.39894228 +
    t * (-0.03988024 + t * (-0.00362018 + t * (0.00163801 + t * (-0.01031555 + t * (0.02282967 + t * (-0.02895312 + t * (0.01787654 - t * 0.00420059)))))))
  return z - 0.5 * Math.log(z) + Math.log(p)
}

/** ln of the density at `x` > 0 (per unit of x) of a Poisson number of mean `rate` of exponential draws of mean `draw`. */
export function logDensity(x: number, rate: number, draw: number): number {
  const y = x / draw
  return -rate - y + 0.5 * Math.log(rate / y) - Math.log(draw) + logBesselI1(2 * Math.sqrt(rate * y))
}
