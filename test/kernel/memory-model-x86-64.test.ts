// The memory model beside the kernel on x86_64.

import { testMemoryModel } from "./memory-model-tests.ts";

testMemoryModel("x86_64");
