/** Reads vitest's JSON report: how many tests passed, failed and were skipped, and which files could not run. */

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** A sentence for each file that failed outside its tests, or for a missing report. */
  broken: string[];
}

export function countResults(json: string | undefined): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0, broken: [] };
  if (json === undefined) {
    counts.broken.push("vitest left no report");
    return counts;
  }
  for (const file of (JSON.parse(json) as Report).testResults) {
    const failedBefore = counts.failed;
    for (const { status } of file.assertionResults)
      counts[status === "passed" || status === "failed" ? status : "skipped"]++;
    // An import that throws, a hook that fails: no test of its own shows it.
    if (file.status === "failed" && counts.failed === failedBefore)
      counts.broken.push(`${file.name}: ${file.message.split("\n")[0] || "a hook failed"}`);
  }
  return counts;
}
