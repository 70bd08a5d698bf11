/**
 * rope: threads share the rows; one angle serves the same pair of every head.
 *
 * Words: x, stride, positions, frequencies, count, columns, pairs, head length, 1 to turn back.
 */
import { address, integer, shareFirst } from "./call";

export function rope(call: usize, thread: i32, threadCount: i32): void {
  const positions = address(call, 3);
  const frequencies = address(call, 4);
  const count = load<i32>(address(call, 5));
  const end = <usize>integer(call, 6) << 2;
  const pairs = integer(call, 7);
  const headBytes = <usize>integer(call, 8) << 2;
  const direction: f64 = integer(call, 9) != 0 ? -1 : 1;
  const last = shareFirst(count, thread + 1, threadCount);
  for (let row = shareFirst(count, thread, threadCount); row < last; row++) {
    const x = address(call, 1) + <usize>row * address(call, 2);
    const position = <f32>load<i32>(positions + ((<usize>row) << 2));
    for (let pair = 0; pair < pairs; pair++) {
      const angle: f32 = position * load<f32>(frequencies + (<usize>pair << 2));
      const cos = <f32>cosine(angle);
      const sin = <f32>(direction * sine(angle));
      for (let at = <usize>pair << 3; at < end; at += headBytes) {
        const a = load<f32>(x + at);
        const b = load<f32>(x + at, 4);
        store<f32>(x + at, a * cos - b * sin);
        store<f32>(x + at, a * sin + b * cos, 4);
      }
    }
  }
}

/** Quarter turns in an angle. */
@inline
function quarters(angle: f64): f64 {
  return nearest<f64>(angle * 0.6366197723675814);
}

/** What an angle has beyond whole quarter turns, in [−π/4, π/4]; π/2 in two parts keeps 2¹⁷ turns exact to 10⁻¹¹. */
@inline
function rest(angle: f64, turns: f64): f64 {
  return angle - turns * 1.5707963267341256 - turns * 6.077100506506192e-11;
}

function sine(angle: f64): f64 {
  const turns = quarters(angle);
  const quadrant = <i32>turns & 3;
  const r = rest(angle, turns);
  const value = quadrant & 1 ? cosinePolynomial(r) : sinePolynomial(r);
  return quadrant & 2 ? -value : value;
}

function cosine(angle: f64): f64 {
  const turns = quarters(angle);
  const quadrant = <i32>turns & 3;
  const r = rest(angle, turns);
  const value = quadrant & 1 ? sinePolynomial(r) : cosinePolynomial(r);
  return (quadrant + 1) & 2 ? -value : value;
}

/** Taylor's polynomial of sin, within 10⁻¹¹ on [−π/4, π/4]. */
@inline
function sinePolynomial(r: f64): f64 {
  const s = r * r;
  return r * (1 - s * (1.0 / 6) * (1 - s * (1.0 / 20) * (1 - s * (1.0 / 42) * (1 - s * (1.0 / 72) * (1 - s * (1.0 / 110))))));
}

/** Taylor's polynomial of cos, within 10⁻¹¹ on [−π/4, π/4]. */
@inline
function cosinePolynomial(r: f64): f64 {
  const s = r * r;
  return (
    1 -
    s * 0.5 * (1 - s * (1.0 / 12) * (1 - s * (1.0 / 30) * (1 - s * (1.0 / 56) * (1 - s * (1.0 / 90) * (1 - s * (1.0 / 132))))))
  );
}
