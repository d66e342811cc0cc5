import { describeAdapter, requestAdapter, targetFor } from "../gpu/device.ts";
import { formatBytes } from "../plan/ledger.ts";
import { allowOnly, type Arguments } from "./arguments.ts";

/** Shows the adapter that WebGPU offers, its limits and its kernels. */
export async function devices({ json, settings }: Arguments): Promise<number> {
  allowOnly(settings, [], "devices", "it takes --json only");
  const adapter = describeAdapter(await requestAdapter());
  const target = targetFor(adapter);
  if (json) {
    console.log(JSON.stringify({ ...adapter, variant: target }));
    return 0;
  }
  console.log(`adapter    ${adapter.name}${adapter.software ? " (software)" : ""}
kernels    ${target}
features   ${adapter.features.join(", ") || "none"}`);
  for (const [limit, value] of Object.entries(adapter.limits)) {
    console.log(`${limit.padEnd(36)} ${/Size$/.test(limit) && value > 65536 ? formatBytes(value) : value}`);
  }
  return 0;
}
