import "../../src/exports/worker.ts";
