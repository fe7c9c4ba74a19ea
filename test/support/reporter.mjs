/**
 * The reporter that each test file's process runs with: it hands every result to test/run.mjs over the IPC channel, as
 * plain data. The errors become text here, where their classes and causes are still whole.
 */
import { inspect } from "node:util";

export default async function* report(source) {
  for await (const { type, data } of source) {
    if (type === "test:dequeue") {
      process.send?.({ kind: "start", name: data.name });
    } else if (type === "test:diagnostic" && data.file !== undefined) {
      // Those without a file are node's own counts.
      process.send?.({ kind: "note", message: data.message });
    } else if (type === "test:pass" || type === "test:fail") {
      process.send?.({
        kind: type === "test:pass" ? "pass" : "fail",
        name: data.name,
        nesting: data.nesting,
        suite: data.details?.type === "suite",
        skip: data.skip,
        todo: data.todo,
        durationMs: data.details?.duration_ms ?? 0,
        error: type === "test:fail" ? describe(data.details?.error) : undefined,
        subtestsFailed: data.details?.error?.failureType === "subtestsFailed",
      });
    }
  }
  yield "";
}

/** node:test wraps what a test threw in an error of its own; the cause is what one wants to read. */
function describe(error) {
  const cause = error?.cause ?? error;
  return cause instanceof Error || typeof cause !== "string" ? inspect(cause, { depth: 4 }) : cause;
}
