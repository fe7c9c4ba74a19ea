// Where a root file system comes from: the package's own image, an archive (gzipped or not), or a folder of the host.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { VitrineError } from "./error.ts";
import { PACKAGE_ROOT } from "./package-root.ts";

/** A root file system: bytes of an archive, or a path to an archive or a folder. */
export type RootOption = { readonly path: string } | { readonly archive: Uint8Array };

export type RootSource =
  | { readonly kind: "archive"; readonly bytes: Uint8Array }
  | { readonly kind: "folder"; readonly path: string };

/** Unpacked size that an archive may have: a gzip bomb ends with an error, not with the host's memory. */
const ARCHIVE_LIMIT = 1 << 30;

/** The image that is built from `userland/`. */
export function defaultRootPath(arch: string): string {
  return join(PACKAGE_ROOT, "userland", "images", arch, "root.tar");
}

/** Finds and reads the root. Throws VitrineError with what to do about it. */
export function openRoot(option: RootOption | undefined, arch: string): RootSource {
  if (option !== undefined && "archive" in option)
    return { kind: "archive", bytes: unpack(option.archive, "the root archive") };
  const path = option?.path ?? defaultRootPath(arch);
  try {
    if (statSync(path).isDirectory()) return { kind: "folder", path };
    return { kind: "archive", bytes: unpack(readFileSync(path), path) };
  } catch (error) {
    if (error instanceof VitrineError) throw error;
    throw new VitrineError(`cannot read the root file system ${path}: ${describe(error)}`);
  }
}

function unpack(bytes: Uint8Array, name: string): Uint8Array {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: ARCHIVE_LIMIT });
  } catch (error) {
    throw new VitrineError(`cannot unpack ${name}: ${describe(error)}`);
  }
}

/** A host error in a few words: its code's meaning rather than its stack. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? String(error.code) : "";
  const words: Readonly<Record<string, string>> = {
    ENOENT: "no such file or directory",
    EACCES: "permission denied",
    EISDIR: "it is a directory",
    ENOTDIR: "not a directory",
    ELOOP: "too many symbolic links",
    ERR_BUFFER_TOO_LARGE: "it unpacks to more than 1 GiB",
    Z_DATA_ERROR: "the gzip data is corrupt",
    Z_BUF_ERROR: "the gzip data is truncated",
  };
  return words[code] ?? error.message;
}
