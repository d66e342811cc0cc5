// The script of the Worker of in_worker.ts, the whole of it.
import "scrimp/worker";
