import type { Member, ModuleKind } from "../optim/members.ts";
import type { Llama } from "./llama.ts";
import type { Parameter } from "./parameter.ts";

/** The parameters of a model that are trained, and what they are in it, for its optimizer. An embedding that is tied is the logits. */
export function membersOf(model: Llama): Member[] {
  const module = (parameter: Parameter): ModuleKind =>
    parameter === model.lm_head ? "logits" : parameter === model.embed_tokens ? "embeddings" : parameter.value.shape.length === 1 ? "norms" : "linear";
  return model.parameters.filter(({ needsGradient }) => needsGradient).map((parameter) => ({ variable: parameter, module: module(parameter) }));
}
