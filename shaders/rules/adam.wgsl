// Adam (Kingma & Ba, 2015), epsilon after the bias correction, as in PyTorch:
// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; direction = (m / correction1) / (sqrt(v / correction2) +
// eps)
fn rule_step(g: Number, old: Moments) -> RuleStep {
  let m = params.beta1 * old.a + (1.0 - params.beta1) * g;
  let v = params.beta2 * old.b + (1.0 - params.beta2) * g * g;
  return RuleStep(
    (m / step_inputs.bias_correction1) / (sqrt(v / step_inputs.bias_correction2) + params.eps),
    Moments(m, v),
  );
}
