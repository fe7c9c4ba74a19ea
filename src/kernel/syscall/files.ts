// Every call of the file family, for the table that numbers them.

import { fileAttributeCalls } from "./files-attributes.ts";
import { fileControlCalls } from "./files-control.ts";
import { fileTransferCalls } from "./files-io.ts";
import { fileNameCalls } from "./files-names.ts";
import { fileOpenCalls } from "./files-open.ts";
import { fileCopyCalls } from "./files-transfer.ts";
import { mountCalls } from "./mount.ts";
import { pollCalls } from "./poll.ts";
import type { SyscallRow } from "./row.ts";

export const fileCalls: readonly SyscallRow[] = [
  ...fileOpenCalls,
  ...fileTransferCalls,
  ...fileNameCalls,
  ...fileAttributeCalls,
  ...fileControlCalls,
  ...fileCopyCalls,
  ...pollCalls,
  ...mountCalls,
];
