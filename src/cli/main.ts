#!/usr/bin/env node
/** `cria`: the command line. Modules are kept compiled between runs, which makes commands start twice as fast. */
import { enableCompileCache } from "node:module";

enableCompileCache();
const { runCommandLine } = await import("./program.ts");
await runCommandLine(process.argv.slice(2));
