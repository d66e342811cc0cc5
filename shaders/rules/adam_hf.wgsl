// Adam as in the older Hugging Face optimizer, epsilon before the bias correction: GaLore, Fira and APOLLO are built on
// it. m, v as in Adam; direction = m / (sqrt(v) + eps). The bias correction is in the step size,
// step_inputs.step_factor, so the direction is smaller than Adam's in the first steps.
fn rule_step(g: Number, old: Moments) -> RuleStep {
  let m = params.beta1 * old.a + (1.0 - params.beta1) * g;
  let v = params.beta2 * old.b + (1.0 - params.beta2) * g * g;
  return RuleStep(m / (sqrt(v) + params.eps), Moments(m, v));
}
