import { assert, assertEquals, test } from "../harness.ts";
import {
  filesBelow,
  inFolder,
  type Line,
  linesOf,
  scrimp,
  scrimpInterrupted,
  succeeded,
  TINY,
} from "./program.deno.ts";

const ARGS = ["compare", "--dataset=text.txt", "--run_name=a", ...TINY];
const FILES = ["comparison.json", "comparison.svg", "results.jsonl", "results.md"];
const read = (path: string): string => Deno.readTextFileSync(path);
const write = (path: string, value: unknown): Promise<void> => Deno.writeTextFile(path, JSON.stringify(value));
const keysOf = (lines: readonly Line[]): string[] =>
  lines.map((line) => `${String(line["method"])}/${String(line["entry"])}/${String(line["seed"])}`);
/** The results in a comparison's folder, without what depends on the clock. */
const resultsIn = (path: string): Line[] =>
  linesOf({ stdout: read(`${path}/results.jsonl`) }).map(({ seconds: _seconds, tokens_per_second: _speed, ...line }) =>
    line
  );

const SWEEP = {
  title: "Small | <ones>",
  seeds: [1, 2],
  eval_steps: 2,
  sweep: [{ lr: 0.01 }, { lr: 0.02 }],
  methods: [{ name: "Adam|W", optim: "adamw" }, {
    optim: "sgd",
    sweep: [{ lr: 1e30, max_grad_norm: 0, warmup_steps: 0, name: "wild" }],
  }],
};
const WITH_SWEEP = [...ARGS, "--config=c.json", "--max_steps=6"];
const notes = 'note: "lr" is read as "learning_rate"\n'.repeat(3);

test(
  "compare --json trains under each optimizer, prints a line for each run and the table last, and " +
    "leaves a folder",
  () =>
    inFolder(async (folder) => {
      const lines = linesOf(succeeded(await scrimp(folder, [...ARGS, "--json", "--optims=adamw,sgd", "--seeds=1,2"])));
      assertEquals(lines.map((line) => Object.keys(line)), [...Array(4).fill(["run"]), ["comparison"]]);
      assertEquals(keysOf(lines.slice(0, -1).map(({ run }) => run as Line)), [
        "adamw//1",
        "adamw//2",
        "sgd//1",
        "sgd//2",
      ]);
      const { path, methods } = lines.at(-1)!["comparison"] as { path: string; methods: Line[] };
      assertEquals([path, methods.map(({ ended }) => ended)], ["runs/a", [2, 2]]);
      for (
        const key of [
          "eval_loss",
          "spread",
          "perplexity",
          "tokens_per_second",
          "state_bytes",
          "peak_bytes",
          "learning_rate",
        ]
      ) assert(methods.every((row) => typeof row[key] === "number"), `a row has no ${key}`);
      assert(Number(methods[0]!["eval_loss"]) <= Number(methods[1]!["eval_loss"]), "the best is not first");
      assertEquals(filesBelow(`${folder}/runs/a`), FILES);
      assert(/^<svg [\s\S]*<\/svg>\n$/.test(read(`${folder}/runs/a/comparison.svg`)), "comparison.svg is no picture");
    }),
);

test("a run of a comparison is the run that train does, and plans the bytes that plan says", () =>
  inFolder(async (folder) => {
    const base = ["--dataset=text.txt", "--json", ...TINY];
    const [compared] = linesOf(
      succeeded(await scrimp(folder, ["compare", "--optims=sign_sgd", "--seeds=7", "--run_name=a", ...base])),
    );
    const { summary } = linesOf(
      succeeded(await scrimp(folder, ["train", "--optim=sign_sgd", "--seed=7", "--run_name=b", ...base])),
    ).at(-1) as { summary: Line };
    const run = compared!["run"] as Line;
    assertEquals([run["eval_loss"], run["planned_bytes"]], [summary["eval_loss"], summary["planned_bytes"]]);
  }));

test("a sweep is run with the first seed, its best entry with the others; a run that diverges is a result", () =>
  inFolder(async (folder) => {
    await write(`${folder}/c.json`, SWEEP);
    const { code, stdout, stderr } = await scrimp(folder, WITH_SWEEP);
    assertEquals([code, stderr], [0, notes]);
    const results = resultsIn(`${folder}/runs/a`);
    const best = Number(results[0]!["eval_loss"]) <= Number(results[1]!["eval_loss"]) ? "lr 0.01" : "lr 0.02";
    assertEquals(keysOf(results), ["Adam|W/lr 0.01/1", "Adam|W/lr 0.02/1", `Adam|W/${best}/2`, "sgd/wild/1"]);
    assertEquals([results[3]!["eval_loss"], /^The loss of step \d+ is /.test(String(results[3]!["problem"]))], [
      null,
      true,
    ]);
    assertEquals((results[0]!["curve"] as Line[]).map(({ step }) => step), [2, 4, 6]);
    for (
      const text of [
        "1/5 Adam|W seed 1 lr 0.01: validation ",
        "4/4 sgd seed 1 wild: diverged (",
        " left\n",
        "method  settings  ",
        "runs/a/comparison.svg",
      ]
    ) assert(stdout.includes(text), `no "${text}" in ${stdout}`);
    const table = read(`${folder}/runs/a/results.md`).split("\n");
    assert(
      table[0] === "# Small | <ones>" && table.some((line) =>
        /^\| Adam\\\|W \| lr 0\.0[12]  *\| \d\.\d{4} ± \d\.\d{4} \|/.test(line)
      ) && table.some((line) => /^\| sgd .*\| +diverged \|/.test(line)),
      table.join("\n"),
    );
  }));

test("killed and started again, a comparison has the results of one that was not", () =>
  inFolder(async (folder) => {
    await write(`${folder}/c.json`, SWEEP);
    const { signal } = await scrimpInterrupted(folder, WITH_SWEEP, {
      text: "validation ",
      count: 2,
      signal: "SIGKILL",
    });
    assertEquals(signal, "SIGKILL");
    const file = `${folder}/runs/a/results.jsonl`, kept = read(file).split("\n").slice(0, 2);
    // as if the kill had come while the second was written
    await Deno.writeTextFile(file, `${kept[0]}\n${kept[1]!.slice(0, 40)}`);
    const { stdout, code } = await scrimp(folder, WITH_SWEEP);
    assertEquals(code, 0);
    assert(stdout.startsWith("going on after 1 of 5 runs\n2/5 "), stdout);
    await scrimp(folder, [...WITH_SWEEP, "--run_name=b"]);
    assertEquals(resultsIn(`${folder}/runs/a`), resultsIn(`${folder}/runs/b`));

    const before = read(file);
    const again = succeeded(await scrimp(folder, ["compare", "--config=runs/a/comparison.json"]));
    assert(again.stdout.startsWith("going on after 4 of 4 runs\n\ntext.txt · "), again.stdout);
    assertEquals(read(file), before, "a comparison that is done was run again");
  }));

test("a folder with other settings, or of something else, is refused in one line and left alone", () =>
  inFolder(async (folder) => {
    succeeded(await scrimp(folder, [...ARGS, "--optims=sgd"]));
    await Deno.mkdir(`${folder}/runs/other`);
    const before = filesBelow(folder).map((path) => [path, Deno.statSync(`${folder}/${path}`).mtime?.getTime()]);
    const cases = [
      [
        ["--optims=adamw", "--max_steps=3"],
        "error: Cannot go on with runs/a: it was started with other settings, max_steps, methods differ. Choose " +
        "another run_name, or use --config runs/a/comparison.json\n",
      ],
      [
        ["--run_name=other"],
        "error: Cannot start the comparison: runs/other exists already and is no comparison's. Choose another " +
        "run_name\n",
      ],
      [["--output_dir=text.txt"], "error: Cannot start the comparison: text.txt/a cannot be made ("],
    ] as const;
    for (const [args, message] of cases) {
      const { code, stdout, stderr } = await scrimp(folder, [...ARGS, ...args]);
      assert(
        code === 2 && stdout === "" && stderr.startsWith(message) && stderr.indexOf("\n") === stderr.length - 1,
        stderr,
      );
    }
    assertEquals(filesBelow(folder).map((path) => [path, Deno.statSync(`${folder}/${path}`).mtime?.getTime()]), before);
  }));

test(
  "what is wrong in any method is found before the first run, in one line with its name, and " +
    "nothing is written",
  () =>
    inFolder(async (folder) => {
      const before = filesBelow(folder);
      const cases = [
        [
          { methods: [{ optim: "sgd" }, { name: "bad", num_attention_heads: 3 }] },
          'Method "bad": Cannot use "num_attention_heads" 3',
        ],
        [
          { methods: [{ optim: "sgd" }, { name: "large", sweep: [{ hidden_size: 1_000_000, name: "wide" }] }] },
          'Method "large", wide: Cannot fit the plan',
        ],
        [{ methods: [{ optim: "sgd" }, { name: "long", max_length: 4000 }] }, 'Method "long": Cannot split the tokens'],
        [{ optims: ["sgd"], seeds: [-1] }, 'Cannot use "seeds[0]"'],
      ] as const;
      for (const [settings, includes] of cases) {
        await write(`${folder}/c.json`, settings);
        const { code, stdout, stderr } = await scrimp(folder, [...ARGS, "--config=c.json"]);
        assert(
          code === 2 && stdout === "" && stderr.startsWith(`error: ${includes}`) &&
            stderr.indexOf("\n") === stderr.length - 1,
          stderr,
        );
      }
      await Deno.remove(`${folder}/c.json`);
      assertEquals(filesBelow(folder), before);
    }),
);
