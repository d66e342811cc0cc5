import { parseArgs } from "./arguments.ts";
import { compare } from "./compare.ts";
import { devices } from "./devices.ts";
import { evaluate } from "./evaluate.ts";
import { generate } from "./generate.ts";
import { merge } from "./merge.ts";
import { plan } from "./plan.ts";
import { train } from "./train.ts";
import { ConfigError } from "../recipe/config/config.ts";

const COMMANDS = { train, plan, eval: evaluate, generate, merge, devices, compare };

/** The way to this program: from a checkout, or as a package, whose code is built. */
const program = import.meta.url.endsWith(".ts") ? "npm run -s scrimp --" : "scrimp";

const HELP = `Usage: ${program} COMMAND [--setting value ...] [--json]

  train      train a model        --dataset FILE --config FILE.json, any setting: --max_steps 500 --optim sign_sgd
             fine-tune one        --model FOLDER --dataset FILE --peft lora
  plan       the memory of a run  same settings; every optimizer side by side, nothing is allocated
  compare    the same run under several optimizers, as a table and a picture:
             --optims adamw,sgd --seeds 1,2,3 --config FILE.json
  eval       loss on a dataset    --model FOLDER --dataset FILE --adapter FOLDER
  generate   continue a prompt    --model FOLDER --prompt TEXT --sample_tokens 200 --temperature 0.8 --top_k 40
  merge      add an adapter       --model FOLDER --adapter FOLDER --output NEW_FOLDER
  devices    the GPU adapter and its limits

Settings have Hugging Face's names; docs/configuration.md lists them.`;

/** Runs a command. Exit status 2: the user can mend it. 1: something else went wrong. */
async function main(): Promise<number> {
  const [command, ...rest] = Deno.args;
  if (command === undefined || command === "help" || command === "--help") {
    console.log(HELP);
    return command === undefined ? 2 : 0;
  }
  if (!Object.hasOwn(COMMANDS, command)) {
    throw new ConfigError(`Cannot run "${command}": expected one of ${Object.keys(COMMANDS).join(", ")}`);
  }
  if (rest.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  return await COMMANDS[command as keyof typeof COMMANDS](parseArgs(rest));
}

try {
  Deno.exit(await main());
} catch (error) {
  // WebGPU's own messages have several lines.
  console.error(`error: ${(error as Error).message.replace(/\s*\n\s*/g, " ")}`);
  Deno.exit([ConfigError, RangeError, TypeError].some((mendable) => error instanceof mendable) ? 2 : 1);
}
