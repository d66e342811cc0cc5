import { writeFolder } from "../checkpoint/model/directory.deno.ts";
import { modelFiles } from "../checkpoint/model/save.ts";
import { openGpu } from "../gpu/device.ts";
import { ConfigError } from "../recipe/config/config.ts";
import { openForEvaluation } from "../recipe/inference.ts";
import { quantizedOf } from "../recipe/trained_model.ts";
import { allowOnly, type Arguments } from "./arguments.ts";
import { openRequestedModel } from "./generate.ts";

const SETTINGS = ["model", "revision", "adapter", "load_in_8bit", "load_in_4bit"];

/** Adds an adapter to its model and writes the whole as a Hugging Face folder. */
export async function merge({ settings: { output, ...settings } }: Arguments): Promise<number> {
  allowOnly(settings, SETTINGS, "merge", "expected --model FOLDER --adapter FOLDER --output NEW_FOLDER");
  if (typeof output !== "string" || output === "" || typeof settings["adapter"] !== "string") {
    throw new ConfigError("Cannot merge: expected --model FOLDER --adapter FOLDER --output NEW_FOLDER");
  }
  if (await Deno.stat(output).then(() => true, () => false)) {
    throw new ConfigError(`Cannot merge into ${output}: it exists already. Choose another folder`);
  }
  const { config, pretrained, adapter } = await openRequestedModel(settings);
  // A short sequence: only the weights are wanted.
  const { session } = await openForEvaluation(await openGpu(), pretrained, {
    adapter,
    B: 1,
    T: 8,
    packed: false,
    quantized: quantizedOf(config),
  });
  await writeFolder(output, modelFiles({ model: session.model, ...pretrained }, session.executor));
  session.destroy();
  console.log(output);
  return 0;
}
