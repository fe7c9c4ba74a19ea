// Elementary functions of exact numbers, to far more bits than any format has.
//
//     operand --> reduced to a small range, exactly --> power series in fixed point, 256 fractional bits --> Exact
//
// A result has a relative error below 2^-100 (what the series and their truncated terms lose is below 2^-240 of what is at least
// 2^-70), and its lowest bit is set, "something was lost": all these functions are irrational but at the few points that have their own
// rule. So rounding gives the correctly rounded result unless the exact one is within 2^-100 of a midpoint or of a number, and
// never misses it by more than one unit in the last place of 64 bits.
//
// The period of sine, cosine and tangent is not that of pi but of pi to 66 bits, as on all x87 processors: SDM volume 1, 8.3.8.

import { bitLength, type Exact } from "./format.ts";

/** Bits after the point. */
const FRACTION = 256;
const SHIFT = BigInt(FRACTION);
const UNIT = 1n << SHIFT;
/** Below 2^-70 the second term of a series is lost on 64 bits, and only says on which side of the first the result lies. */
const TINY_EXPONENT = -70;
/** pi / 2 of 66 bits is this times 2^-67. */
const HALF_PERIOD = 0xc90fdaa22168c234cn;
const HALF_PERIOD_EXPONENT = -67;

/** The exponent of the leading bit. */
const leadingOf = ({ significand, exponent }: Exact): number => exponent + bitLength(significand) - 1;
const isTiny = (x: Exact): boolean => leadingOf(x) < TINY_EXPONENT;

function shiftBy(value: bigint, places: number): bigint {
  return places >= 0 ? value << BigInt(places) : value >> BigInt(-places);
}

/** The magnitude in fixed point. */
const toFixed = ({ significand, exponent }: Exact): bigint => shiftBy(significand, exponent + FRACTION);

/** A fixed-point value whose lowest bits are not known. */
function fromFixed(value: bigint): Exact {
  const negative = value < 0n;
  return { negative, significand: ((negative ? -value : value) << 1n) | 1n, exponent: -FRACTION - 1 };
}

/** `x`, moved towards zero or away from it by less than any rounding sees. */
function nudge({ negative, significand, exponent }: Exact, direction: "in" | "out"): Exact {
  return { negative, significand: (significand << 70n) + (direction === "in" ? -1n : 1n), exponent: exponent - 70 };
}

const multiplyFixed = (a: bigint, b: bigint): bigint => (a * b) >> SHIFT;
const divideFixed = (a: bigint, b: bigint): bigint => (a << SHIFT) / b;

// --- Sine, cosine, tangent -----------------------------------------------------------------------------------------

/** `x = quadrant * period / 4 + rest`, `rest` being at most an eighth of a period in magnitude. */
function reduceAngle(x: Exact): { quadrant: number; rest: Exact } {
  if (leadingOf(x) < -1) return { quadrant: 0, rest: x };
  const exponent = Math.min(x.exponent, HALF_PERIOD_EXPONENT);
  const size = shiftBy(x.significand, x.exponent - exponent);
  const unit = shiftBy(HALF_PERIOD, HALF_PERIOD_EXPONENT - exponent);
  let quadrant = size / unit;
  let rest = size - quadrant * unit;
  if (rest * 2n > unit) {
    quadrant += 1n;
    rest -= unit;
  }
  const turns = Number(quadrant & 3n);
  const isFlipped = rest < 0n !== x.negative;
  return {
    quadrant: x.negative ? -turns & 3 : turns,
    rest: { negative: isFlipped, significand: rest < 0n ? -rest : rest, exponent },
  };
}

/** The sine of an exact number; of zero it is not asked. */
export function sine(x: Exact): Exact {
  const { quadrant, rest } = reduceAngle(x);
  const value = (quadrant & 1) === 0 ? sineNearZero(rest) : cosineNearZero(rest);
  return quadrant < 2 ? value : { ...value, negative: !value.negative };
}

export function cosine(x: Exact): Exact {
  const { quadrant, rest } = reduceAngle(x);
  const value = (quadrant & 1) === 0 ? cosineNearZero(rest) : sineNearZero(rest);
  return quadrant === 0 || quadrant === 3 ? value : { ...value, negative: !value.negative };
}

export function tangent(x: Exact): Exact {
  const { quadrant, rest } = reduceAngle(x);
  const isTurned = (quadrant & 1) !== 0;
  if (isTiny(rest) && !isTurned) return nudge(rest, "out");
  const [sin, cos] = [sineNearZero(rest), cosineNearZero(rest)];
  const [above, below] = isTurned ? [cos, sin] : [sin, cos];
  const negative = rest.negative !== isTurned;
  return { ...quotient(above, below), negative };
}

function sineNearZero(x: Exact): Exact {
  if (isTiny(x)) return nudge(x, "in");
  const angle = toFixed(x);
  const square = multiplyFixed(angle, angle);
  let sum = 0n;
  let term = angle;
  for (let n = 2n; term !== 0n; n += 2n) {
    sum += term;
    term = -multiplyFixed(term, square) / (n * (n + 1n));
  }
  return { ...fromFixed(sum), negative: x.negative };
}

function cosineNearZero(x: Exact): Exact {
  if (isTiny(x)) return nudge({ negative: false, significand: 1n, exponent: 0 }, "in");
  const angle = toFixed(x);
  const square = multiplyFixed(angle, angle);
  let sum = 0n;
  let term = UNIT;
  for (let n = 1n; term !== 0n; n += 2n) {
    sum += term;
    term = -multiplyFixed(term, square) / (n * (n + 1n));
  }
  return fromFixed(sum);
}

/** `a / b`, positive, to 140 bits or more. */
function quotient(a: Exact, b: Exact): Exact {
  const extra = Math.max(0, 140 + bitLength(b.significand) - bitLength(a.significand));
  const significand = ((a.significand << BigInt(extra)) / b.significand) | 1n;
  return { negative: false, significand, exponent: a.exponent - b.exponent - extra };
}

// --- Arctangent ----------------------------------------------------------------------------------------------------

/** The angle of the point (x, y), in (-pi, pi). */
export function arctangent(y: Exact, x: Exact): Exact {
  const isSteep = compareMagnitudes(y, x) > 0;
  const ratio = isSteep ? quotient(x, y) : quotient(y, x);
  let angle: Exact;
  if (isSteep || x.negative) {
    const acute = arctangentBelowOne(toFixed(ratio));
    const fromAxis = isSteep ? (pi() >> 1n) - acute : acute;
    angle = fromFixed(x.negative ? pi() - fromAxis : fromAxis);
  } else {
    angle = isTiny(ratio) ? nudge(ratio, "in") : fromFixed(arctangentBelowOne(toFixed(ratio)));
  }
  return { ...angle, negative: y.negative };
}

function compareMagnitudes(a: Exact, b: Exact): number {
  const order = leadingOf(a) - leadingOf(b);
  if (order !== 0) return order;
  const exponent = Math.min(a.exponent, b.exponent);
  const difference = shiftBy(a.significand, a.exponent - exponent) - shiftBy(b.significand, b.exponent - exponent);
  return difference === 0n ? 0 : difference < 0n ? -1 : 1;
}

/** Of a ratio in [0, 1]: halves the angle until the series is short. */
function arctangentBelowOne(ratio: bigint): bigint {
  const halvings = 3;
  let small = ratio;
  for (let count = 0; count < halvings; count++) {
    const hypotenuse = squareRootFixed(UNIT + multiplyFixed(small, small));
    small = divideFixed(small, UNIT + hypotenuse);
  }
  return alternatingSeries(small, -1n) << BigInt(halvings);
}

/** x + sign * x^3 / 3 + x^5 / 5 + sign * x^7 / 7 + …: the arctangent, or for a sign of 1 its hyperbolic twin. */
function alternatingSeries(x: bigint, sign: 1n | -1n): bigint {
  const square = multiplyFixed(x, x) * sign;
  let sum = 0n;
  let power = x;
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n;
    power = multiplyFixed(power, square);
  }
  return sum;
}

function squareRootFixed(value: bigint): bigint {
  const scaled = value << SHIFT;
  let root = UNIT << 1n;
  for (;;) {
    const next = (root + scaled / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

// --- Exponential and logarithm -------------------------------------------------------------------------------------

/** `2^x - 1` for x in (-1, 1) but 0. */
export function exponentialLessOne(x: Exact): Exact {
  if (isTiny(x)) return timesFixed(x, ln2());
  const size = (toFixed(x) * ln2()) >> SHIFT;
  const power = x.negative ? -size : size;
  let sum = 0n;
  let term = power;
  for (let n = 2n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = multiplyFixed(term, power) / n;
  }
  return fromFixed(sum);
}

/** The logarithm of a positive number to base 2: an integer exactly. It is 0 for 1 only, of which it is not asked. */
export function logarithm(x: Exact): Exact {
  const length = bitLength(x.significand);
  let exponent = x.exponent + length - 1;
  const mantissa = x.significand;
  let one = 1n << BigInt(length - 1);
  if (mantissa === one) return { negative: exponent < 0, significand: BigInt(Math.abs(exponent)), exponent: 0 };
  // A mantissa in [0.7, 1.4], so that nothing cancels.
  if (mantissa * 5n > one * 7n) {
    exponent++;
    one <<= 1n;
  }
  const ratio = ((mantissa - one) << SHIFT) / (mantissa + one);
  return fromFixed((BigInt(exponent) << SHIFT) + logarithmOfRatio(ratio));
}

/** The logarithm of `1 + x` to base 2, for x greater than -1 but 0. */
export function logarithmOfNext(x: Exact): Exact {
  if (isTiny(x)) return timesFixed(x, divideFixed(UNIT, ln2()));
  const leading = leadingOf(x);
  // One more is lost on what is that great.
  if (leading > -TINY_EXPONENT) return logarithm(x);
  if (leading >= -2) {
    const exponent = Math.min(x.exponent, 0);
    const size = shiftBy(x.significand, x.exponent - exponent);
    const significand = (1n << BigInt(-exponent)) + (x.negative ? -size : size);
    return logarithm({ negative: false, significand, exponent });
  }
  const size = toFixed(x);
  const signed = x.negative ? -size : size;
  return fromFixed(logarithmOfRatio(divideFixed(signed, (UNIT << 1n) + signed)));
}

/** log2((1 + ratio) / (1 - ratio)). */
function logarithmOfRatio(ratio: bigint): bigint {
  return divideFixed(alternatingSeries(ratio, 1n) << 1n, ln2());
}

/** A tiny number times a factor, with all its bits. */
function timesFixed({ negative, significand, exponent }: Exact, factor: bigint): Exact {
  return { negative, significand: (significand * factor) | 1n, exponent: exponent - FRACTION };
}

// --- Constants -----------------------------------------------------------------------------------------------------

let piValue: bigint | undefined;
let ln2Value: bigint | undefined;

/** pi = 16 atan(1/5) - 4 atan(1/239) (Machin). */
export function pi(): bigint {
  piValue ??= 16n * alternatingSeries(UNIT / 5n, -1n) - 4n * alternatingSeries(UNIT / 239n, -1n);
  return piValue;
}

/** ln 2 = 2 atanh(1/3). */
function ln2(): bigint {
  ln2Value ??= 2n * alternatingSeries(UNIT / 3n, 1n);
  return ln2Value;
}

/** A multiple of pi, as an exact number: `numerator / denominator * pi`. */
export function multipleOfPi(negative: boolean, numerator: bigint, denominator: bigint): Exact {
  return { ...fromFixed((pi() * numerator) / denominator), negative };
}
