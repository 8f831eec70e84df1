// Package gradcheck compares derivatives with finite differences in float64.
//
// [Check] takes a function that builds a graph and checks what
// models/autodiff makes of it, order by order. The function of order 1 is the
// built one, y(x). From order k, with outputs y and variables x, it takes
// fixed random cotangents c of the outputs' shapes and compares
//
//	s(x) = Σ c·y(x),  ∇s from autodiff  against  ∇s from differences of s,
//
// element by element. The outputs of order k+1 are the elements of ∇s, and
// its variables are x and c together: a cotangent of double backpropagation
// depends on the variables too.
//
// [Directional] does the comparison for any scalar function, such as the
// energy of a picture against an exported score.
//
// Differences are central, over four points at distances h and 2h:
//
//	s'(x) ≈ (s(x−2h) − 8·s(x−h) + 8·s(x+h) − s(x+2h)) / 12h
//
// with an error of h⁴·s⁽⁵⁾/30 and a rounding error of about 10⁻¹⁶·|s|/h.
package gradcheck
