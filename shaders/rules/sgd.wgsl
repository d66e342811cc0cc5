// SGD with momentum (Polyak, 1964), beta1 = mu: m = mu m + g; direction = m, or g + mu m in Nesterov's form, as in
// PyTorch.
fn rule_step(g: Number, old: Moments) -> RuleStep {
  let m = params.beta1 * old.a + g;
#if ${NESTEROV}
  return RuleStep(g + params.beta1 * m, Moments(m, old.b));
#else
  return RuleStep(m, Moments(m, old.b));
#endif
}
