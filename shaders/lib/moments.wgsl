// The state of a state-full rule for an element: up to two numbers. NUMBER is the type that a rule works on, f32 or
// vec4f.
struct Moments { a: ${NUMBER}, b: ${NUMBER} }
struct RuleStep { direction: ${NUMBER}, moments: Moments }
