// The memory model beside the kernel on riscv64.

import { testMemoryModel } from "./memory-model-tests.ts";

testMemoryModel("riscv64");
