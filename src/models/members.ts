import type { Member, ModuleKind } from "../optim/members.ts";
import { embeddingsOf, headOf, type Model } from "./model.ts";
import type { Parameter } from "./parameter.ts";

/**
 * The parameters of a model that are trained, and what they are in it, for its optimizer. An embedding that is tied is
 * the logits.
 */
export function membersOf(model: Model): Member[] {
  const embeddings = embeddingsOf(model), head = model.family === "bert" ? model.classifier.weight : headOf(model);
  const module = (parameter: Parameter): ModuleKind => {
    if (parameter === head) return "logits";
    if (embeddings.includes(parameter)) return "embeddings";
    return parameter.value.shape.length === 1 ? "norms" : "linear";
  };
  return model.parameters.filter(({ needsGradient }) => needsGradient).map((parameter) => ({
    variable: parameter,
    module: module(parameter),
  }));
}
