/** What 128-bit lanes can do here: multiply-adds in registers and nothing else, compiled from AssemblyScript. */

const SOURCE = `
export function spin(turns: i32, a: f32, b: f32): f32 {
  const x = f32x4.splat(a);
  const y = f32x4.splat(b);
${Array.from({ length: 12 }, (_, i) => `  let s${i} = f32x4.splat(${i});`).join("\n")}
  for (let turn = 0; turn < turns; turn++) {
${Array.from({ length: 12 }, (_, i) => `    s${i} = f32x4.relaxed_madd(x, y, s${i});`).join("\n")}
  }
  let sum = s0;
${Array.from({ length: 11 }, (_, i) => `  sum = f32x4.add(sum, s${i + 1});`).join("\n")}
  return f32x4.extract_lane(sum, 0);
}`;

/** `run` does about as many multiply-adds as it is told to and returns how many a second. */
export async function multiplyAddLoop(): Promise<{ run(products: number): number }> {
  const { default: asc } = await import("assemblyscript/asc");
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    ["loop.ts", "--outFile", "loop.wasm", "-O3", "--runtime", "stub", "--enable", "simd,relaxed-simd"],
    {
      readFile: (name) => (name === "loop.ts" ? SOURCE : null),
      writeFile: (_, contents) => {
        if (contents instanceof Uint8Array) binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || !binary) throw new Error(`${error?.message}\n${stderr.toString()}`);
  const { instance } = await WebAssembly.instantiate(binary as Uint8Array<ArrayBuffer>);
  const spin = instance.exports.spin as (turns: number, a: number, b: number) => number;
  return {
    run(products) {
      const turns = Math.ceil(products / 48);
      const start = performance.now();
      if (Number.isNaN(spin(turns, 1e-3, 1e-3))) throw new Error("the loop computed no number");
      return (48 * turns) / ((performance.now() - start) / 1000);
    },
  };
}
