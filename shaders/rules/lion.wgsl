// Lion (Chen et al., 2023): direction = sign(beta1 m + (1 - beta1) g);  m = beta2 m + (1 - beta2) g
fn rule_step(g: Number, old: Moments) -> RuleStep {
  let blend = params.beta1 * old.a + (1.0 - params.beta1) * g;
  return RuleStep(sign(blend), Moments(params.beta2 * old.a + (1.0 - params.beta2) * g, old.b));
}
