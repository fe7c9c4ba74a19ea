// The package's version, read from its package.json.

import { readFileSync } from "node:fs";

function readVersion(): string {
  const file = new URL("../../../package.json", import.meta.url);
  const parsed: unknown = JSON.parse(readFileSync(file, "utf8"));
  return typeof parsed === "object" && parsed !== null && "version" in parsed ? String(parsed.version) : "unknown";
}

export const VERSION = readVersion();
