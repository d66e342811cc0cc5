import { testGpu } from "../test_gpu.ts";
import { assert, readShared, runtime, skip, test } from "../harness.ts";
import type { ReadFile } from "./files.ts";
import { replayPath } from "./replay.ts";

// Other people's numbers: PyTorch's, transformers', and those of the optimizers' own authors.

const gpu = testGpu();
const read: ReadFile = (path) => readShared(normalize(path));

/** The page fetches addresses, where ".." would leave the shared folder's own path. */
function normalize(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts.join("/");
}

function replays(name: string, path: string): void {
  test(name, async () => {
    if (!await read(path.endsWith(".json") ? path : `${path}/expected.json`)) skip(`the shared folder has no ${path}`);
    const { cases } = await replayPath(await gpu, read, path);
    assert(cases.length > 0, `${path} has no case that can be replayed`);
    const wrong = cases.filter(({ ok }) => !ok).map(({ name, max_relative_error, tolerance }) =>
      `${name}: error ${max_relative_error}, tolerance ${tolerance}`
    );
    assert(wrong.length === 0, wrong.join("; "));
    const uncaptured = (await gpu).uncaptured();
    assert(!uncaptured, `${uncaptured?.message}`);
  });
}

replays("llama-tiny has PyTorch's logits, loss, gradients and 20 training steps", "fixtures/models/llama-tiny");
replays("llama-tied (tied head, scaled RoPE, one key head) has PyTorch's numbers", "fixtures/models/llama-tied");
replays("qwen2-tiny (biases, padding) has PyTorch's numbers", "fixtures/models/qwen2-tiny");
replays("qwen3-tiny (norms of queries and keys) has PyTorch's numbers", "fixtures/models/qwen3-tiny");
replays("gpt2-tiny has PyTorch's numbers", "fixtures/models/gpt2-tiny");
replays("roberta-tiny (classification, padding) has PyTorch's numbers", "fixtures/models/roberta-tiny");
replays("LoRA on queries and values has PEFT's numbers", "fixtures/models/lora-llama-qv");
replays("LoRA on all linear layers has PEFT's numbers", "fixtures/models/lora-llama-all");
replays("llama-tiny in bfloat16 has PyTorch's numbers", "fixtures/models/llama-tiny-bf16");
replays("llama-tiny in float16 has PyTorch's numbers", "fixtures/models/llama-tiny-f16");
replays("stories260K, a real pretrained model, has PyTorch's numbers", "fixtures/models/stories260K");
replays("update rules follow their authors' trajectories", "fixtures/optimizers.json");
// These run no kernel that those above do not, so once is enough.
if (runtime === "deno") {
  replays(
    "gpt2-tiny with the names it was published under has PyTorch's numbers",
    "fixtures/models/gpt2-tiny-published",
  );
  replays("llama-tiny in shards has PyTorch's numbers", "fixtures/models/llama-tiny-sharded");
  replays("200 AdamW steps on tinyshakespeare have PyTorch's losses", "fixtures/shakespeare");
}
