"""Trains the benchmark's works with PyTorch on the processor, and times them.

Reads requests from stdin, each a line of JSON (see pytorch.ts), and answers each with one line: the milliseconds and
losses of a block, or an error. Ends with its input.

What was tried, on two cores that other programs used too (PyTorch 1.13, OpenBLAS; milliseconds a step of A / B, the
best of many): one thread 9.9 / 87; two threads 9.0 / 79 while the cores were free and 12 / 102 while they were not;
two threads that spin while they wait, on busy cores, 15 to 360 for A. No difference beyond noise, some 5 %: q and k
turned together or one by one, halves swapped by roll() or by cat(), AdamW with foreach or without, matmul() or
baddbmm() with the mask for scores. OMP_NUM_THREADS sets the threads, if they are not to be as many as processors.
"""

import base64
import json
import math
import os
import sys
import time

# Idle threads must sleep: OpenBLAS has threads of its own, and OpenMP's would spin on the cores these need.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch  # noqa: E402 (it reads the line above)
import torch.nn.functional as F  # noqa: E402

WARM_UP_STEPS = 2


def tensor_of(text, dtype):
    """The numbers of a base64 text."""
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=dtype)


def rotary_tables(work):
    """Cosines and sines (T, 1, 1, D) of every position; the sign of the half that turns the other way is in sines."""
    width = work["hidden_size"] // work["num_attention_heads"]
    exponents = torch.arange(0, width, 2, dtype=torch.float64) / width
    angles = torch.arange(work["max_length"])[:, None] * work["rope_theta"] ** -exponents
    cos = torch.cat((angles.cos(), angles.cos()), -1)
    sin = torch.cat((-angles.sin(), angles.sin()), -1)
    return cos.float()[:, None, None], sin.float()[:, None, None]


class Llama:
    """The decoder of works.ts, with the products q, k, v and gate, up in one each."""

    def __init__(self, work, weights):
        """Takes the weights of a checkpoint, by name."""
        if work["num_key_value_heads"] != work["num_attention_heads"]:
            raise ValueError("q, k and v are stacked here: use as many key as query heads")
        self.work = work
        self.cos, self.sin = rotary_tables(work)
        self.mask = torch.full((work["max_length"], work["max_length"]), -math.inf).triu(1)

        def parameter(*names):
            return torch.cat([weights[f"{name}.weight"] for name in names]).requires_grad_()

        def layer(prefix):
            return (
                parameter(f"{prefix}.input_layernorm"),
                parameter(*(f"{prefix}.self_attn.{name}_proj" for name in "qkv")),
                parameter(f"{prefix}.self_attn.o_proj"),
                parameter(f"{prefix}.post_attention_layernorm"),
                parameter(f"{prefix}.mlp.gate_proj", f"{prefix}.mlp.up_proj"),
                parameter(f"{prefix}.mlp.down_proj"),
            )

        self.embed = parameter("model.embed_tokens")
        self.layers = [layer(f"model.layers.{i}") for i in range(work["num_hidden_layers"])]
        self.norm = parameter("model.norm")
        self.parameters = [self.embed, *(p for layer in self.layers for p in layer), self.norm]

    def rms_norm(self, x, weight):
        """x / sqrt(mean(x²) + eps), times the weight."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.work["rms_norm_eps"]) * weight

    def attention(self, qkv):
        """Causal attention of (B T, 3 C) to (B T, C)."""
        length, heads = self.work["max_length"], self.work["num_attention_heads"]
        qkv = qkv.view(-1, length, 3, heads, self.work["hidden_size"] // heads)
        batch, width = qkv.shape[0], qkv.shape[-1]
        qk = qkv[:, :, :2]
        qk = qk * self.cos + qk.roll(width // 2, -1) * self.sin
        q, k, v = (x.transpose(1, 2).reshape(-1, length, width) for x in (*qk.unbind(2), qkv[:, :, 2]))
        scores = torch.baddbmm(self.mask, q, k.transpose(1, 2), alpha=width**-0.5)
        out = torch.bmm(scores.softmax(-1), v).view(batch, heads, length, width)
        return out.transpose(1, 2).reshape(batch * length, heads * width)

    def loss(self, ids, labels):
        """Mean next-token cross-entropy."""
        x = F.embedding(ids, self.embed)
        for norm1, qkv, o, norm2, gate_up, down in self.layers:
            x = x + F.linear(self.attention(F.linear(self.rms_norm(x, norm1), qkv)), o)
            gate, up = F.linear(self.rms_norm(x, norm2), gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, down)
        return F.cross_entropy(F.linear(self.rms_norm(x, self.norm), self.embed), labels)


def adamw(work, parameters):
    """AdamW with the settings of a work; only matrices decay."""
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": work["weight_decay"]},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
    ]
    betas = (work["adam_beta1"], work["adam_beta2"])
    return torch.optim.AdamW(groups, lr=work["learning_rate"], betas=betas, eps=work["adam_epsilon"], foreach=True)


def train(request):
    """Trains from the initial weights over all batches, of which the first two warm up; times as jax_js.ts does."""
    work = request["work"]
    weights = {name: tensor_of(text, torch.float32).view(shape) for name, shape, text in request["weights"]}
    batches = [[tensor_of(text, torch.int32) for text in batch] for batch in request["batches"]]
    model = Llama(work, weights)
    optimizer = adamw(work, model.parameters)
    milliseconds, losses, waiting = [], [], []
    for index, batch in enumerate(batches):
        if not waiting:
            start = time.perf_counter()
        ids, labels = (tokens.long() for tokens in batch)
        optimizer.zero_grad(set_to_none=True)
        loss = model.loss(ids, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters, work["max_grad_norm"])
        optimizer.step()
        waiting.append(loss.detach())
        if index >= WARM_UP_STEPS and index < len(batches) - 1 and len(waiting) < request["steps_per_wait"]:
            continue
        losses += [value.item() for value in waiting]
        if index >= WARM_UP_STEPS:
            milliseconds.append((time.perf_counter() - start) * 1000 / len(waiting))
        waiting = []
    return {"milliseconds": milliseconds, "losses": losses}


def answer(line):
    """The reply to a request, an error included."""
    try:
        return train(json.loads(line))
    except Exception as error:  # whatever it is, the benchmark shall print it and go on without PyTorch
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    for request_line in sys.stdin:
        print(json.dumps(answer(request_line)), flush=True)
