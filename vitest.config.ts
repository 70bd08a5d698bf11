import { defineConfig, type ViteUserConfig } from "vitest/config";

/** One project per thing a test needs: nothing, every device, a stored model, llama.cpp, or the packed package. */
const project = (name: string, include: string, testTimeout = 30_000) => ({
  test: { name, include: [include], testTimeout, hookTimeout: testTimeout },
});

const config: ViteUserConfig = defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project("unit", "src/**/*.test.ts"),
      project("conformance", "tests/conformance/**/*.test.ts", 60_000),
      project("golden", "tests/golden/**/*.test.ts", 120_000),
      project("oracle", "tests/oracle/**/*.test.ts", 600_000),
      project("training", "tests/training/**/*.test.ts", 300_000),
      project("server", "tests/server/**/*.test.ts", 300_000),
      project("browser", "tests/browser/**/*.test.ts", 600_000),
      project("cli", "tests/cli/**/*.test.ts", 120_000),
      project("package", "tests/package/**/*.test.ts", 300_000),
    ],
  },
});

export default config;
