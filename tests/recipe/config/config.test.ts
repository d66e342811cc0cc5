import { OPTIMIZERS } from "../../../src/optim/presets.ts";
import { LR_SCHEDULER_TYPES } from "../../../src/optim/step/schedule.ts";
import {
  ALIASES,
  CONFIG_KEYS,
  ConfigError,
  nameSettings,
  nearestName,
  parseByteSize,
  parseConfig,
} from "../../../src/recipe/config/config.ts";
import { assert, assertEquals, assertThrows, test } from "../../harness.ts";

type Settings = Readonly<Record<string, unknown>>;

/** The one line with which the settings are refused. */
function refusal(settings: Settings): string {
  const error = assertThrows(() => parseConfig(settings), "");
  assert(error instanceof ConfigError, `expected a ConfigError, got ${error.name}: ${error.message}`);
  assert(!error.message.includes("\n"), `more than one line: ${error.message}`);
  return error.message;
}

test("no settings at all give a config with every key", () => {
  const config = parseConfig({});
  assertEquals(Object.keys(config).sort(), [...CONFIG_KEYS].sort());
  assertEquals(parseConfig({ ...config }), config, "a config is not accepted as settings");
  assertEquals(config.optim_args, {}, "what is not given is the optimizer's own");
  assertEquals(config.lr_scheduler_kwargs, { num_cycles: 1, min_lr_rate: 0.1 });
});

test("what is given replaces the default and nothing else", () => {
  const given = {
    max_steps: 7,
    optim: "sgd",
    learning_rate: 0.25,
    optim_args: { momentum: 0.5 },
    tie_word_embeddings: false,
    prompt: "Once",
  };
  assertEquals(parseConfig(given), { ...parseConfig({}), ...given });
});

test("an unknown key is refused with the nearest one, of the settings and of their aliases", () => {
  assertEquals(refusal({ max_stepz: 3 }), 'Cannot use unknown setting "max_stepz": did you mean "max_steps"?');
  assertEquals(
    refusal({ learningrate: 3 }),
    'Cannot use unknown setting "learningrate": did you mean "learning_rate"?',
  );
  assertEquals(refusal({ block_siz: 3 }), 'Cannot use unknown setting "block_siz": did you mean "block_size"?');
  const far = refusal({ quantisation: 3 });
  assert(
    far.startsWith('Cannot use unknown setting "quantisation". Known settings: dataset, packing, ') &&
      !far.includes("did you mean"),
    far,
  );
});

test("a key that every object inherits is unknown like any other", () => {
  for (const key of ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"]) {
    const settings = JSON.parse(`{"${key}": 5}`) as Settings;
    assert(refusal(settings).startsWith(`Cannot use unknown setting "${key}"`), refusal(settings));
    const nested = JSON.parse(`{"optim_args": {"${key}": 5}}`) as Settings;
    // Inside an object valibot overlooks inherited names. Then they must do nothing.
    try {
      assertEquals(parseConfig(nested).optim_args, parseConfig({}).optim_args);
    } catch (error) {
      assert(error instanceof ConfigError && error.message.includes(`optim_args.${key}`), String(error));
    }
  }
  assert(refusal({ optim: "constructor" }).endsWith('got "constructor"'), refusal({ optim: "constructor" }));
});

test("a key with odd characters is shown on one line", () => {
  for (const key of ["", " ", "a\nb", "\u0000", "x".repeat(5000)]) {
    assert(refusal({ [key]: 1 }).length < 3000, "the message repeats a key of any length");
  }
});

test("an alias is read as the setting it stands for, and said so", () => {
  const heard: string[] = [];
  const config = parseConfig({ lr: 0.5, iters: 9, block_size: 32 }, (message) => heard.push(message));
  assertEquals([config.learning_rate, config.max_steps, config.max_length], [0.5, 9, 32]);
  assertEquals(heard, [
    '"lr" is read as "learning_rate"',
    '"iters" is read as "max_steps"',
    '"block_size" is read as "max_length"',
  ]);
  parseConfig({ max_steps: 9 }, () => assert(false, "a note for a setting under its own name"));
});

test("every alias stands for a setting and is none itself", () => {
  for (const [alias, key] of Object.entries(ALIASES)) {
    assert(CONFIG_KEYS.includes(key), `${alias} stands for ${key}, which is no setting`);
    assert(!(CONFIG_KEYS as readonly string[]).includes(alias), `${alias} is a setting`);
    const value = parseConfig({})[key] ?? (key === "trainable_modules" ? ["embed"] : 1);
    assertEquals(parseConfig({ [alias]: value }), parseConfig({ [key]: value }), alias);
  }
});

test("a setting given twice, by its name and by an alias, is refused", () => {
  assertEquals(
    refusal({ learning_rate: 1, lr: 1 }),
    'Cannot use "lr": "learning_rate" is given twice. Remove one of them',
  );
  assertEquals(
    refusal({ lr: 1, learning_rate: 1 }),
    'Cannot use "learning_rate": "learning_rate" is given twice. Remove one of them',
  );
  assertEquals(
    refusal({ batch_size: 1, micro_batch_size: 1 }),
    'Cannot use "micro_batch_size": "per_device_train_batch_size" is given twice. Remove one of them',
  );
});

test("settings of two sources can be laid over each other, whatever name each of them uses", () => {
  const layers = [{ lr: 0.1, iters: 5 }, { learning_rate: 0.2 }, { max_steps: 6 }].map((layer) =>
    nameSettings(layer, () => {})
  );
  const { learning_rate, max_steps } = parseConfig(Object.assign({}, ...layers) as Settings);
  assertEquals([learning_rate, max_steps], [0.2, 6]);
});

test("an optimizer under another tool's name is found, an unknown one refused", () => {
  assertEquals(parseConfig({ optim: "adamw_torch" }).optim, "adamw");
  assertEquals(parseConfig({ optimizer: "signsgd" }).optim, "sign_sgd");
  for (const optim of OPTIMIZERS) assertEquals(parseConfig({ optim }).optim, optim);
  assertEquals(refusal({ optim: "adam" }), `Cannot use "optim": must be one of ${OPTIMIZERS.join(", ")}, got "adam"`);
  for (const lr_scheduler_type of LR_SCHEDULER_TYPES) {
    assertEquals(parseConfig({ lr_scheduler_type }).lr_scheduler_type, lr_scheduler_type);
  }
});

test("updates in the backward pass by transformers' name exclude what needs all gradients first", () => {
  assertEquals(parseConfig({ optim: "galore_adamw_layerwise", max_grad_norm: 0 }).optim, "galore");
  assertEquals(
    refusal({ optim: "galore_adamw_layerwise" }),
    'Cannot use optim "galore_adamw_layerwise" with max_grad_norm 1: the global norm is not known when a ' +
      "layer is updated. Set max_grad_norm 0",
  );
  assert(
    refusal({ optim: "apollo_adamw_layerwise", max_grad_norm: 0, grad_accumulation_steps: 2 }).includes(
      "gradient_accumulation_steps 2",
    ),
    "accumulation",
  );
});

// Each setting refuses some values, and takes those at the edge of its range.
const COUNT: readonly [readonly unknown[], readonly unknown[]] = [[
  0,
  -1,
  1.5,
  2 ** 53,
  NaN,
  Infinity,
  "5",
  true,
  null,
  [5],
  { a: 5 },
], [1, 4096]];
const COUNT_OR_ZERO: typeof COUNT = [[-1, 0.5, 2 ** 53, NaN, -Infinity, "0", false, null], [0, 1]];
const POSITIVE: typeof COUNT = [[0, -1, NaN, Infinity, "1", true, []], [1e-30, 1, 1e30]];
const ZERO_OR_MORE: typeof COUNT = [[-1e-9, NaN, Infinity, "1", null], [0, 0.5]];
const FRACTION: typeof COUNT = [[-0.1, 1, NaN, "0.5", null], [0, 0.999]];
const FLAG: typeof COUNT = [[0, 1, "true", "yes", null], [true, false]];
const TEXT: typeof COUNT = [[5, true, null, ["a"]], ["", "a\nb"]];
const RANGES: Readonly<Record<string, typeof COUNT>> = {
  dataset: TEXT,
  resume_from_checkpoint: TEXT,
  prompt: TEXT,
  output_dir: TEXT,
  run_name: TEXT,
  model: TEXT,
  revision: TEXT,
  tokenizer: [TEXT[0], ["byte", "bpe", "some/folder"]],
  // Only beside peft, and thaw and freeze_trained only beside resume_from_checkpoint.
  adapter: [TEXT[0], [""]],
  thaw: [FLAG[0], [false]],
  freeze_trained: [FLAG[0], [false]],
  packing: FLAG,
  completion_only_loss: FLAG,
  assistant_only_loss: FLAG,
  load_in_8bit: FLAG,
  load_in_4bit: FLAG,
  ignore_base_hash: FLAG,
  dropout: [FRACTION[0].filter((value) => value !== null), [...FRACTION[1], null]],
  save_total_limit: COUNT,
  vocab_size: [[255, 256.5, 262145, NaN, "512"], [257, 262144]],
  validation_split: [[0, 1, -0.1, NaN, "0.1"], [0.001, 0.999]],
  max_length: COUNT,
  intermediate_size: COUNT,
  per_device_train_batch_size: COUNT,
  gradient_accumulation_steps: COUNT,
  max_steps: COUNT,
  logging_steps: COUNT,
  eval_steps: COUNT,
  eval_batches: COUNT,
  sample_steps: COUNT,
  sample_tokens: COUNT,
  hidden_size: [COUNT[0], [12, 96]],
  num_hidden_layers: [[...COUNT[0], 1025], [1, 1024]],
  num_attention_heads: [COUNT[0], [3, 6]],
  num_key_value_heads: [COUNT[0], [1, 6]],
  rms_norm_eps: POSITIVE,
  rope_theta: POSITIVE,
  initializer_range: POSITIVE,
  factor_alpha: POSITIVE,
  learning_rate: [POSITIVE[0], [...POSITIVE[1], null]],
  adam_epsilon: [POSITIVE[0], [...POSITIVE[1], null]],
  weight_decay: ZERO_OR_MORE,
  max_grad_norm: ZERO_OR_MORE,
  temperature: ZERO_OR_MORE,
  warmup_steps: [[-1, 1.5, 2 ** 53, NaN, "5%", null], [0, 0.5, 1, 100]],
  adam_beta1: FRACTION,
  adam_beta2: FRACTION,
  seed: COUNT_OR_ZERO,
  top_k: COUNT_OR_ZERO,
  save_steps: COUNT_OR_ZERO,
  factor_rank: COUNT_OR_ZERO,
  refactor_steps: [COUNT_OR_ZERO[0], [0]],
  relora_steps: [COUNT_OR_ZERO[0], [0]],
  tie_word_embeddings: FLAG,
  gradient_checkpointing: FLAG,
  bf16: FLAG,
  optim: [["", "ADAMW", 1, null], [...OPTIMIZERS]],
  lr_scheduler_type: [["", "polynomial", 1, null], [...LR_SCHEDULER_TYPES]],
  optim_args: [[5, true, null], [{}, { momentum: 0 }]],
  optim_target_modules: [[5, true], [null, ["attn"], "all-linear", "q_proj,v_proj"]],
  frozen_modules: [[5, true, null], [[], ["embed"], "embed"]],
  trainable_modules: [[5, true], [null, [], ["embed"], "embed,norm"]],
  peft: [[5, true], [null, {}, { r: 4 }, "lora", "lora r=4"]],
  memory_budget: [[5, true, "much", "5 apples", "-1MB"], [null, "512MB", "1.5 GiB", "1000"]],
  dtype: [["bf16", 16, null], ["auto", "float32", "bfloat16"]],
  lr_scheduler_kwargs: [[5, true, null], [{}, { num_cycles: 2 }]],
};

test("every setting takes the edges of its range", () => {
  assertEquals(Object.keys(RANGES).sort(), [...CONFIG_KEYS].sort(), "the table is not that of the settings");
  for (const [key, [, good]] of Object.entries(RANGES)) for (const value of good) parseConfig({ [key]: value });
});

test(
  "every wrong type and value outside the range is refused in one line: the key, what it must " +
    "be, what it got",
  () => {
    for (const [key, [bad]] of Object.entries(RANGES)) {
      for (const value of bad) {
        const message = refusal({ [key]: value }),
          got = typeof value === "number" ? String(value) : JSON.stringify(value);
        assert(
          message.startsWith(`Cannot use "${key}": must be `) && message.endsWith(`, got ${got}`),
          `${key} ${got}: ${message}`,
        );
      }
    }
  },
);

test("a huge wrong value does not flood the message", () => {
  assert(refusal({ max_steps: Array(10_000).fill(0) }).length < 300, "the whole value is in the message");
});

test("a setting inside an object is checked and named with its path", () => {
  assertEquals(
    refusal({ optim_args: { momentun: 0.3 } }),
    'Cannot use unknown setting "optim_args.momentun": did you mean "optim_args.momentum"?',
  );
  assert(
    refusal({ optim_args: { quantisation: 3 } }).startsWith(
      'Cannot use unknown setting "optim_args.quantisation". Known settings of optim_args: split, density, ',
    ),
    "no list",
  );
  assertEquals(
    refusal({ lr_scheduler_kwargs: { num_cycle: 1 } }),
    'Cannot use unknown setting "lr_scheduler_kwargs.num_cycle": did you mean "lr_scheduler_kwargs.num_cycles"?',
  );
  assertEquals(
    refusal({ optim_args: { momentum: 1 } }),
    'Cannot use "optim_args.momentum": must be a number from 0 up to, not including, 1, got 1',
  );
  assertEquals(
    refusal({ lr_scheduler_kwargs: { min_lr_rate: "0" } }),
    'Cannot use "lr_scheduler_kwargs.min_lr_rate": must be a number from 0 up to, not including, 1, got "0"',
  );
  assertEquals(refusal({ frozen_modules: ["embed", 5] }), 'Cannot use "frozen_modules.1": must be text, got 5');
  assertEquals(refusal({ optim_args: 5 }), 'Cannot use "optim_args": must be an object of settings, got 5');
});

test("each key of optim_args is checked, under the published codes' names too", () => {
  const wrong = (key: string, value: unknown): string => refusal({ optim_args: { [key]: value } });
  for (const value of [-0.1, 1.1, NaN, "0.5"]) {
    assert(
      wrong("density", value).startsWith('Cannot use "optim_args.density": must be a number from 0 to 1, got '),
      String(value),
    );
  }
  for (const value of [0, 1]) parseConfig({ optim_args: { density: value } });
  assertEquals(wrong("rank", 0), 'Cannot use "optim_args.rank": must be a whole number above 0, got 0');
  assertEquals(wrong("optim_bits", 4), 'Cannot use "optim_args.optim_bits": must be 8 or 32, got 4');
  assertEquals(
    wrong("split", "diagonal"),
    'Cannot use "optim_args.split": must be one of all, none, columns, rows, randk, blocks, layers, low_rank, ' +
      'got "diagonal"',
  );
  const renamed = { update_proj_gap: 7, alpha: 0.5, coord_choice: "rows", reset_statistics: false };
  assertEquals(parseConfig({ optim_args: renamed }).optim_args, {
    update_gap: 7,
    scale: 0.5,
    split: "rows",
    switch_moments: "keep",
  });
  assertEquals(
    wrong("update_proj_gap", 0),
    'Cannot use "optim_args.update_gap": must be a whole number above 0, got 0',
  );
});

test("transformers' one-line form of optim_args and lr_scheduler_kwargs is read too", () => {
  assertEquals(parseConfig({ optim_args: "momentum=0.5, nesterov=true" }).optim_args, {
    momentum: 0.5,
    nesterov: true,
  });
  assertEquals(parseConfig({ optim_args: "nesterov" }).optim_args, { nesterov: true });
  assertEquals(parseConfig({ optim_args: "rank=64,update_proj_gap=100,scale=0.10" }).optim_args, {
    rank: 64,
    update_gap: 100,
    scale: 0.1,
  });
  assertEquals(parseConfig({ lr_scheduler_kwargs: "num_cycles=3" }).lr_scheduler_kwargs, {
    num_cycles: 3,
    min_lr_rate: 0.1,
  });
  assertEquals(
    refusal({ optim_args: "momentum=much" }),
    'Cannot use "optim_args.momentum": must be a number from 0 up to, not including, 1, got "much"',
  );
  assertEquals(
    refusal({ optim_args: "momentum=" }),
    'Cannot use "optim_args.momentum": must be a number from 0 up to, not including, 1, got ""',
  );
});

const LORA = {
  peft_type: "LORA",
  r: 8,
  lora_alpha: 8,
  lora_dropout: 0,
  target_modules: null,
  modules_to_save: null,
  use_rslora: false,
  bias: "none",
};

test("peft is an object, a word, pairs, or settings of their own under other tools' names", () => {
  const peft = (settings: Settings): unknown => parseConfig(settings).peft;
  assertEquals([peft({}), peft({ peft: null }), peft({ peft: {} }), peft({ peft: "lora" })], [null, null, LORA, LORA]);
  for (
    const given of ["lora r=16 lora_alpha=32", "lora, r=16, lora_alpha=32", "lora r=16,lora_alpha=32", {
      r: 16,
      lora_alpha: 32,
    }, { peft_type: "lora", r: 16, lora_alpha: 32 }]
  ) {
    assertEquals(peft({ peft: given }), { ...LORA, r: 16, lora_alpha: 32 }, JSON.stringify(given));
  }
  assertEquals(
    peft({
      lora_r: 4,
      lora_alpha: 2,
      lora_dropout: 0.1,
      lora_target_modules: "q_proj,v_proj",
      modules_to_save: "embed_tokens",
      use_rslora: true,
    }),
    {
      ...LORA,
      r: 4,
      lora_alpha: 2,
      lora_dropout: 0.1,
      target_modules: ["q_proj", "v_proj"],
      modules_to_save: ["embed_tokens"],
      use_rslora: true,
    },
  );
  assertEquals(peft({ peft: "lora r=4", lora_rank: 16 }), { ...LORA, r: 16 }, "a setting of its own wins");
  const targets = (target_modules: unknown): unknown => parseConfig({ peft: { target_modules } }).peft!.target_modules;
  assertEquals([["q_proj"], "q_proj", "all-linear", ".*(q|v)_proj"].map(targets), [
    ["q_proj"],
    ["q_proj"],
    "all-linear",
    ".*(q|v)_proj",
  ]);
  assertEquals(parseConfig({ peft: "lora r=4 target_modules=q_proj,k_proj modules_to_save=norm" }).peft, {
    ...LORA,
    r: 4,
    target_modules: ["q_proj", "k_proj"],
    modules_to_save: ["norm"],
  });
  const heard: string[] = [];
  parseConfig({ lora_r: 4 }, (message) => heard.push(message));
  assertEquals(heard, ['"lora_r" is read as "peft.r"']);
});

test("keys of peft are checked and named with their path", () => {
  assertEquals(refusal({ peft: { rr: 3 } }), 'Cannot use unknown setting "peft.rr": did you mean "peft.r"?');
  assert(refusal({ peft: "dora" }).startsWith('Cannot use unknown setting "peft.dora"'), refusal({ peft: "dora" }));
  assertEquals(refusal({ peft: { r: 0 } }), 'Cannot use "peft.r": must be a whole number above 0, got 0');
  assertEquals(
    refusal({ lora_dropout: 1 }),
    'Cannot use "peft.lora_dropout": must be a number from 0 up to, not including, 1, got 1',
  );
  assert(
    refusal({ peft: { bias: "all" } }).startsWith('Cannot use "peft.bias": must be "none"'),
    refusal({ peft: { bias: "all" } }),
  );
  assert(
    refusal({ peft: { peft_type: "IA3" } }).startsWith('Cannot use "peft.peft_type": must be one of LORA'),
    refusal({ peft: { peft_type: "IA3" } }),
  );
});

test("settings that contradict each other about what is trained are refused with what to leave out", () => {
  const cases: readonly (readonly [Settings, string])[] = [
    [
      { trainable_modules: ["norm"], frozen_modules: ["embed"] },
      'Cannot use "trainable_modules" beside "frozen_modules"',
    ],
    [{ peft: "lora", trainable_modules: ["norm"] }, 'Cannot use "peft" beside "trainable_modules" or "frozen_modules"'],
    [{ peft: "lora", frozen_modules: ["norm"] }, 'Cannot use "peft" beside "trainable_modules" or "frozen_modules"'],
    [{ peft: "lora", factor_rank: 4 }, 'Cannot use "peft" beside "factor_rank"'],
    [{ model: "folder", factor_rank: 4 }, 'Cannot use "factor_rank" 4 with "model"'],
    [{ model: "folder", refactor_steps: 4 }, 'Cannot use "refactor_steps" 4'],
    [{ adapter: "folder" }, 'Cannot use "adapter" "folder" without "peft"'],
    [{ relora_steps: 5 }, 'Cannot use "relora_steps" 5 without "peft"'],
    [{ peft: "lora", relora_steps: 5, load_in_4bit: true }, 'Cannot use "relora_steps" with quantized weights'],
    [{ load_in_4bit: true, load_in_8bit: true }, 'Cannot use "load_in_4bit" beside "load_in_8bit"'],
    [{ thaw: true }, 'Cannot use "thaw" without "resume_from_checkpoint"'],
    [{ freeze_trained: true }, 'Cannot use "freeze_trained" without "resume_from_checkpoint"'],
  ];
  for (const [settings, message] of cases) {
    assert(refusal(settings).startsWith(message), `${JSON.stringify(settings)}: ${refusal(settings)}`);
  }
  parseConfig({
    peft: "lora",
    adapter: "folder",
    relora_steps: 5,
    thaw: true,
    freeze_trained: true,
    resume_from_checkpoint: "run",
  });
});

test("sizes of memory are read as people write them", () => {
  assertEquals(["512MB", "1.5 GiB", "100", "2k", "3 TB", "7B"].map(parseByteSize), [
    512e6,
    1.5 * 2 ** 30,
    100,
    2000,
    3e12,
    7,
  ]);
  assertEquals(["", "MB", "1 XB", "1,5 GB", "-1", "1 MBB"].map(parseByteSize), Array(6).fill(undefined));
});

test("sizes that make no model are refused with the rule they break", () => {
  assertEquals(
    refusal({ num_attention_heads: 5 }),
    'Cannot use "num_attention_heads" 5: it must divide hidden_size 96',
  );
  assertEquals(
    refusal({ hidden_size: 6 }),
    'Cannot use "num_attention_heads" 6: hidden_size / num_attention_heads must be even for RoPE, got 1',
  );
  assertEquals(
    refusal({ num_key_value_heads: 4 }),
    'Cannot use "num_key_value_heads" 4: it must divide num_attention_heads 6',
  );
  assertEquals(
    refusal({ num_key_value_heads: 12 }),
    'Cannot use "num_key_value_heads" 12: it must divide num_attention_heads 6',
  );
  assertEquals(
    refusal({ refactor_steps: 5 }),
    'Cannot use "refactor_steps" 5: there are no factors to balance. Set factor_rank, or leave it out',
  );
  assert(refusal({ vocab_size: 256 }).includes("with the bpe tokenizer"), refusal({ vocab_size: 256 }));
  parseConfig({ vocab_size: 256, tokenizer: "byte" });
});

test("nearestName() suggests only what could be a slip", () => {
  const names = ["lr", "seed", "learning_rate"];
  assertEquals(["sed", "sead", "learning_rat", "lrn"].map((name) => nearestName(name, names)), [
    "seed",
    "seed",
    "learning_rate",
    "lr",
  ]);
  assertEquals(["", "abc", "foo", "momentum"].map((name) => nearestName(name, names)), [
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
