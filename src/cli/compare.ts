import { availableBytes } from "../api/device.ts";
import { openGpu } from "../gpu/device.ts";
import { describeComparison, rankMethods } from "../recipe/comparison/comparison_results.ts";
import { nameComparison, parseComparison } from "../recipe/comparison/settings.ts";
import { prepareComparison, runComparison } from "../recipe/comparison/run_comparison.ts";
import type { Arguments } from "./arguments.ts";
import { openComparisonFolder } from "./compare_folder.ts";
import { jsonProgress, textProgress } from "./compare_report.ts";
import { readSettings } from "./files.ts";
import { openFineTuning, readTextDataset } from "./sources.ts";

/**
 * Trains the same model on the same data under several methods and leaves a folder with every result, a table and a
 * picture.
 */
export async function compare(args: Arguments): Promise<number> {
  const comparison = parseComparison(
    await readSettings(args, nameComparison),
    (message) => console.error(`note: ${message}`),
  );
  const { base } = comparison;
  const source = base.model === "" ? await readTextDataset(base) : await openFineTuning(base);
  const gpu = await openGpu();
  const prepared = await prepareComparison(comparison, source, gpu, availableBytes(gpu));
  const folder = await openComparisonFolder(comparison), { results } = folder;
  const progress = (args.json ? jsonProgress : textProgress)(comparison, results);
  const summary = () => [describeComparison(comparison, results), rankMethods(comparison, results)] as const;
  for await (
    const result of runComparison(
      gpu,
      prepared,
      results,
      ({ method, entry }, step) => progress.step(method.name, step, entry.config.max_steps),
    )
  ) {
    await folder.add(result);
    progress.run(result, results);
    await folder.summarize(...summary());
  }
  await folder.summarize(...summary());
  progress.end(folder.path, ...summary());
  return 0;
}
