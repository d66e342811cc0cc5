// The state of a state-full rule for an element: up to two numbers. A rule works on a Vector of elements, or on one at
// a time with STATE_BY_NUMBER, where neighbours are not state-full together.
#if ${STATE_BY_NUMBER}
alias Number = f32;
alias Good = bool;
#else
alias Number = Vector;
alias Good = Booleans;
#endif
struct Moments { a: Number, b: Number }
struct RuleStep { direction: Number, moments: Moments }
