// The bias correction 1 - beta^t of the steps done so far, from the 1 - beta^(t + 1) of the step to come; 0 at t = 0,
// where there is nothing to correct. `complement` is 1 - beta, rounded once: subtracting beta from 1 here would lose
// the digits of 1 - beta^t.
fn past_correction(correction: f32, beta: f32, complement: f32) -> f32 {
  if (beta == 0.0) { return 1.0; }
  let past = (correction - complement) / beta;
  return select(past, 0.0, past < 0.5 * complement);
}
