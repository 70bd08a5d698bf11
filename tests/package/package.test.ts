/**
 * The package as a user gets it: packed from a copy of the sources, installed in an empty folder, imported and run.
 *
 * The copy keeps the checkout's own dist out of it: a file left there by an earlier build cannot hide a missing one.
 */
import { execFile, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { lstat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
const megabyte = 1_000_000;

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const toolPath = [dirname(process.execPath), join(root, "node_modules", ".bin"), process.env.PATH].join(
  delimiter,
);
const npmIsHere = spawnSync("npm", ["--version"], { shell: process.platform === "win32" }).status === 0;

describe.skipIf(!npmIsHere)("the packed package", () => {
  let folder = "";
  let app = "";
  let packed: string[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "cria-package-"));
    const copy = join(folder, "copy");
    mkdirSync(copy);
    for (const name of [
      "package.json",
      "tsconfig.json",
      "tsconfig.build.json",
      "LICENSE",
      "README.md",
      "src",
      "scripts",
      "apps",
      "models",
    ])
      if (existsSync(join(root, name))) cpSync(join(root, name), join(copy, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"), "junction");
    // `--json` follows what the prepack script wrote.
    const output = await runIn(copy, "npm", ["pack", "--json", "--pack-destination", folder]);
    const report = JSON.parse(output.slice(output.search(/^[[{]/m))) as unknown;
    packed = filesOf(report);
    const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
    if (!tarball) throw new Error("npm pack left no tarball");
    app = join(folder, "app");
    mkdirSync(app);
    await writeFile(join(app, "package.json"), '{ "name": "app", "private": true, "type": "module" }\n');
    const quiet = [
      "--no-audit",
      "--no-fund",
      "--prefer-offline",
      "--fetch-retries=1",
      "--fetch-timeout=30000",
    ];
    await runIn(app, "npm", ["install", ...quiet, join(folder, tarball)]);
  });
  afterAll(() => {
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  test("holds the built library and its papers, and no sources or tests", () => {
    expect(packed).toEqual(
      expect.arrayContaining(["package.json", "LICENSE", "dist/node.js", "dist/node.d.ts"]),
    );
    for (const path of ["dist/cli/main.js", "dist/browser.js", "dist/page/index.html", "models/default.gguf"])
      expect(packed).toContain(path);
    expect(packed.filter((path) => /\.test\.|^(src|tests|bench|scripts)\//.test(path))).toEqual([]);
  });

  test("installs in less than 200 MB, without development tools", async () => {
    const installed = new Set(packageNames(join(app, "node_modules")));
    for (const name of ["cria", ...Object.keys(manifest.dependencies)])
      expect([...installed]).toContain(name);
    expect(Object.keys(manifest.devDependencies).filter((name) => installed.has(name))).toEqual([]);
    const byteLength = await folderBytes(join(app, "node_modules"));
    expect(byteLength).toBeGreaterThan(0);
    expect(byteLength).toBeLessThan(200 * megabyte);
  });

  test("exports load", async () => {
    const program = 'import { load } from "cria"; console.log(typeof load);';
    expect(await runIn(app, process.execPath, ["--input-type=module", "--eval", program])).toBe("function\n");
  });

  test.each([
    ["cria/train", "trainRecipe"],
    ["cria/server", "createServer"],
    ["cria/ai-sdk", "createCria"],
  ])("%s loads", async (entry, name) => {
    const program = `import { ${name} } from "${entry}"; console.log(typeof ${name});`;
    expect(await runIn(app, process.execPath, ["--input-type=module", "--eval", program])).toBe("function\n");
  });

  test("cria/react loads beside React, also where there is no page", async () => {
    symlinkSync(join(root, "node_modules", "react"), join(app, "node_modules", "react"), "junction");
    const program =
      'import { useChat, useModel } from "cria/react"; console.log(typeof useChat, typeof useModel);';
    expect(await runIn(app, process.execPath, ["--input-type=module", "--eval", program])).toBe(
      "function function\n",
    );
  });

  test("tells a story with the model that comes with it", async () => {
    const text = await runIn(app, "npx", [
      ...["--no-install", "cria", "generate", "-p", "Once upon a time", "-n", "20", "--temp", "0"],
    ]);
    expect(text.trim().length).toBeGreaterThan(20);
  });

  test("brings types that a strict program compiles against", async () => {
    await writeFile(
      join(app, "app.ts"),
      'import { load } from "cria";\nexport const loader: typeof load = load;\n',
    );
    const settings = [
      "--strict",
      "--noEmit",
      "--module",
      "nodenext",
      "--target",
      "es2024",
      "--types",
      "--skipLibCheck",
    ];
    await runIn(app, "tsc", [...settings, "app.ts"]);
    await writeFile(
      join(app, "wrong.ts"),
      'import { load } from "cria";\nexport const wrong: number = load;\n',
    );
    await expect(runIn(app, "tsc", [...settings, "wrong.ts"])).rejects.toThrow("TS2322");
  });

  test("runs as a command", async () => {
    const help = await runIn(app, "npx", ["--no-install", "cria", "--help"]);
    expect(help).toMatch(/usage: cria/i);
    expect(help).toContain("chat");
  });
});

async function runIn(folder: string, command: string, parameters: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, parameters, {
      cwd: folder,
      env: { ...process.env, PATH: toolPath, NODE_OPTIONS: "" },
      timeout: 240_000,
      maxBuffer: 64 * megabyte,
    });
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${parameters.join(" ")} failed:\n${stdout}\n${stderr}`, { cause: error });
  }
}

/** The paths in npm pack's report: a list of packages up to npm 10, an object by package name since. */
function filesOf(report: unknown): string[] {
  const [entry] = Object.values(report as Record<string, { files: { path: string }[] }>);
  return (entry?.files ?? []).map(({ path }) => path);
}

/** Names of all packages below a node_modules folder, nested ones too. */
function packageNames(modules: string): string[] {
  return readdirSync(modules, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith("package.json"))
    .map(
      (path) =>
        join(modules, path)
          .split(/[\\/]node_modules[\\/]/)
          .at(-1) ?? "",
    )
    .map((path) => dirname(path).replaceAll("\\", "/"))
    .filter((name) => /^(@[^/]+\/)?[^/@]+$/.test(name));
}

async function folderBytes(folder: string): Promise<number> {
  let byteLength = 0;
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" }))
    byteLength += (await lstat(join(folder, path))).size;
  return byteLength;
}
