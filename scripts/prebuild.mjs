/**
 * An esbuild plugin that does at build time what does not depend on the run.
 *
 *     image.prebuilt.js   export function bootImage() { assembles … }    ──►   export const bootImage = () => made ??= { bytes: …, symbols: … }
 *
 * A module whose name ends in `.prebuilt` exports functions without parameters that return plain data: numbers, strings, arrays,
 * objects, maps, sets, typed arrays. Run from `dist/src` they compute it when first called. Here they are called, and the bundle gets
 * what they returned in their place, and nothing of what they import. Large arrays of bytes become files beside the bundle, read when
 * asked for.
 */

import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

/** Arrays from this size on are files: a string of that length in the program would be read by every run. */
const LARGE = 4096;

/** @param {string} outdir where the bundle is written */
export function prebuild(outdir) {
  return {
    name: "prebuild",
    setup(build) {
      build.onLoad({ filter: /\.prebuilt\.js$/ }, async ({ path }) => {
        const module = await import(pathToFileURL(path).href);
        const contents = Object.entries(module).map(([name, make]) => {
          const store = (bytes) => storeBytes(outdir, `${basename(path, ".prebuilt.js")}-${name}`, bytes);
          return `let ${name}Made;\nexport const ${name} = () => (${name}Made ??= ${literal(make(), store)});`;
        });
        return { contents: `${PRELUDE}\n${contents.join("\n")}`, loader: "js" };
      });
    },
  };
}

const PRELUDE = `
import { readFileSync } from "node:fs";
const read = (name) => new Uint8Array(readFileSync(new URL(name, import.meta.url)));
const decode = (text) => new Uint8Array(Buffer.from(text, "base64"));
`;

/** An expression whose value is a copy of the data. */
export function literal(value, storeBytes) {
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    const name = bytes.length >= LARGE ? storeBytes(bytes) : undefined;
    const made = name === undefined ? `decode("${Buffer.from(bytes).toString("base64")}")` : `read("${name}")`;
    return value instanceof Uint8Array ? made : `new ${value.constructor.name}(${made}.buffer)`;
  }
  const items = (list) => list.map((item) => literal(item, storeBytes)).join(",");
  if (Array.isArray(value)) return `[${items(value)}]`;
  if (value instanceof Map) return `new Map([${items([...value])}])`;
  if (value instanceof Set) return `new Set([${items([...value])}])`;
  switch (typeof value) {
    case "object": {
      if (value === null) return "null";
      if (Object.getPrototypeOf(value) !== Object.prototype) break;
      const fields = Object.entries(value).map(
        ([key, field]) => `${JSON.stringify(key)}:${literal(field, storeBytes)}`,
      );
      return `{${fields.join(",")}}`;
    }
    case "string":
    case "boolean":
      return JSON.stringify(value);
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "undefined":
      return "undefined";
    default:
  }
  throw new Error(`a prebuilt module returned what is no plain data: ${String(value)}`);
}

/** Writes a file of the bundle; its name. */
function storeBytes(outdir, name, bytes) {
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 8);
  const file = `${name}-${hash}.bin`;
  mkdirSync(outdir, { recursive: true });
  writeFileSync(join(outdir, file), bytes);
  return file;
}
