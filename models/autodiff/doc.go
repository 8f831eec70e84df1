// Package autodiff differentiates graphs by adding nodes to them.
//
// [Gradient] walks back from a node and applies, at every operator, its
// vector-Jacobian product: from the cotangent ȳ of an output y the cotangents
// x̄ = (∂y/∂x)ᵀ ȳ of its operands. The rules are one table (rules.go, and a
// file for each larger family) and are built from the same operators that
// they differentiate, so applying Gradient to its own result gives second
// derivatives, as double backpropagation needs, and any order after that.
//
// [JVP] is the derivative of a vector-Jacobian product by its cotangent, in
// which that is linear, and [Jacobian] and [Hessian] have all rows at once: the
// adjoint of every operator applied to stacks of cotangents (vectorise.go). So
// neither needs rules of its own.
//
// [GradientsBySlopes] is Gradient with fewer passes over memory and other last bits: it
// goes back through functions of one value by their slope (slope.go), and through softmax
// by its formula (softmax.go).
//
// Operands that do not depend on what is differentiated by get no cotangent
// at all, and a zero cotangent is never built: branches of zero disappear.
package autodiff
