package onnximport

import (
	"maps"
	"math"
	"slices"
	"strings"

	"ebm/models/graph"
)

// reader adds what a node of the file computes to the graph.
type reader func(c *call) []*value

// entry is one operator of the standard set.
type entry struct {
	// since is the version of the operator set from which on nodes are read.
	since int
	read  reader
	// note says what of the operator is left out, or how it is read.
	note string
}

// table returns the operators by their ONNX names, with their domain unless it
// is the standard one.
func table() map[string]entry {
	all := standardTable()
	maps.Copy(all, microsoftTable())
	maps.Copy(all, machineLearningTable())
	return all
}

func standardTable() map[string]entry {
	return map[string]entry{
		// Element-wise.
		"Abs":            {1, readAbs, ""},
		"Acos":           {7, unary(acos), ""},
		"Acosh":          {9, unary(acosh), ""},
		"Add":            {1, integerArithmetic(sum, addDims), ""},
		"And":            {1, logical(and), ""},
		"Asin":           {7, unary(asin), ""},
		"Asinh":          {9, unary(asinh), ""},
		"Atan":           {7, unary(graph.Atan), ""},
		"Atanh":          {9, unary(atanh), ""},
		"Cast":           {1, readCast, "to half precision: computed in float32"},
		"CastLike":       {15, readCastLike, ""},
		"Ceil":           {1, unary(ceil), "its derivative is 0"},
		"Clip":           {1, readClip, ""},
		"Cos":            {7, unary(graph.Cos), ""},
		"Cosh":           {9, unary(cosh), ""},
		"Div":            {1, integerArithmetic(graph.Div, divDim), ""},
		"Equal":          {1, readEqual, ""},
		"Erf":            {9, unary(graph.Erf), ""},
		"Exp":            {1, unary(graph.Exp), ""},
		"Floor":          {1, unary(graph.Floor), "its derivative is 0"},
		"Greater":        {1, comparison(greater, flipped(lessDim)), ""},
		"GreaterOrEqual": {12, comparison(greaterOrEqual, negated(lessDim)), ""},
		"IsNaN":          {9, readIsNaN, ""},
		"IsInf":          {10, readIsInf, ""},
		"Less":           {1, comparison(graph.Less, lessDim), ""},
		"LessOrEqual":    {12, comparison(lessOrEqual, negated(flipped(lessDim))), ""},
		"Log":            {1, unary(graph.Log), ""},
		"Max":            {1, variadic(graph.Maximum, maxDim), ""},
		"Mean":           {1, readMean, ""},
		"Min":            {1, variadic(graph.Minimum, minDim), ""},
		"Mod":            {10, readMod, ""},
		"Mul":            {1, readMul, ""},
		"Neg":            {1, readNeg, ""},
		"Not":            {1, readNot, ""},
		"Or":             {1, logical(or), ""},
		"Pow":            {1, readPow, ""},
		"Reciprocal":     {1, unary(reciprocal), ""},
		"Round":          {11, readRound, "its derivative is 0"},
		"Sign":           {9, readSign, "its derivative is 0"},
		"Sin":            {7, unary(graph.Sin), ""},
		"Sinh":           {9, unary(sinh), ""},
		"Sqrt":           {1, unary(graph.Sqrt), ""},
		"Sub":            {1, integerArithmetic(graph.Sub, subDims), ""},
		"Sum":            {1, variadic(graph.Add, addDims), ""},
		"Tan":            {7, unary(tan), ""},
		"Where":          {9, readWhere, ""},
		"Xor":            {1, logical(xor), ""},

		// Bits of whole numbers.
		"BitShift":   {11, readBitShift, ""},
		"BitwiseAnd": {18, bitwise(graph.Minimum), ""},
		"BitwiseNot": {18, readBitwiseNot, ""},
		"BitwiseOr":  {18, bitwise(graph.Maximum), ""},
		"BitwiseXor": {18, bitwise(func(a, b *graph.Node) *graph.Node { return absolute(graph.Sub(a, b)) }), ""},

		// Activations.
		"Celu":            {12, activation(celu), ""},
		"Elu":             {1, activation(elu), ""},
		"Gelu":            {20, activation(gelu), ""},
		"HardSigmoid":     {1, activation(hardSigmoid), ""},
		"HardSwish":       {14, activation(hardSwish), ""},
		"Hardmax":         {1, readHardmax, "its derivative is 0"},
		"LeakyRelu":       {1, activation(leakyRelu), ""},
		"LogSoftmax":      {1, readLogSoftmax, "before version 13 over all trailing axes together"},
		"Mish":            {18, activation(mish), ""},
		"PRelu":           {1, readPRelu, ""},
		"SwiGLU":          {28, readSwiGLU, ""},
		"Relu":            {1, readRelu, ""},
		"Selu":            {1, activation(selu), ""},
		"Shrink":          {9, activation(shrink), ""},
		"Sigmoid":         {1, unary(graph.Sigmoid), ""},
		"Softmax":         {1, readSoftmax, "before version 13 over all trailing axes together"},
		"Softplus":        {1, unary(graph.Softplus), ""},
		"Softsign":        {1, activation(softsign), ""},
		"Swish":           {24, activation(swish), ""},
		"Tanh":            {1, unary(graph.Tanh), ""},
		"ThresholdedRelu": {10, activation(thresholdedRelu), ""},

		// Products and convolutions.
		"Attention":             {23, readAttention, ""},
		"Conv":                  {1, readConv, ""},
		"ConvTranspose":         {1, readConvTranspose, ""},
		"DequantizeLinear":      {10, readDequantizeLinear, "of numbers of 8 or 32 bits, not in blocks"},
		"QuantizeLinear":        {10, readQuantizeLinear, "to numbers of 8 bits, not in blocks; its derivative is 0"},
		"Col2Im":                {18, readCol2Im, ""},
		"ConvInteger":           {10, readConvInteger, "its derivative is 0"},
		"CausalConvWithState":   {27, readCausalConv, ""},
		"DynamicQuantizeLinear": {11, readDynamicQuantizeLinear, "its derivative is 0"},
		"Det":                   {11, readDet, "of up to 64 rows"},
		"DFT":                   {17, readDFT, "of fixed length"},
		"STFT":                  {17, readSTFT, ""},
		"MatMulInteger":         {10, readMatMulInteger, "its derivative is 0"},
		"QLinearConv":           {10, readQLinearConv, "its derivative is 0"},
		"QLinearMatMul":         {10, readQLinearMatMul, "its derivative is 0"},
		"RotaryEmbedding":       {23, readRotary, ""},
		"Einsum":                {12, readEinsum, ""},
		"Gemm":                  {1, readGemm, ""},
		"MatMul":                {1, readMatMul, ""},

		// Sequences and branches.
		"GRU":                {7, recurrent(3, gruCell), "usual activations"},
		"If":                 {1, readIf, "a condition that depends on inputs computes both branches"},
		"LSTM":               {7, recurrent(4, lstmCell), "usual activations"},
		"RNN":                {7, recurrent(1, rnnCell), "usual activations"},
		"LinearAttention":    {27, readLinearAttention, ""},
		"Loop":               {1, readLoop, "of a number of steps; stacked results only where the condition is constant"},
		"Scan":               {9, readScan, ""},
		"OptionalGetElement": {15, readIdentity, ""},
		"OptionalHasElement": {15, readOptionalHasElement, ""},
		"ConcatFromSequence": {11, readConcatFromSequence, ""},
		"SequenceAt":         {11, readSequenceAt, "at a known place"},
		"SequenceConstruct":  {11, readSequenceConstruct, ""},
		"SequenceEmpty":      {11, readSequenceEmpty, ""},
		"SequenceErase":      {11, readSequenceErase, "at a known place"},
		"SequenceInsert":     {11, readSequenceInsert, "at a known place"},
		"SequenceLength":     {11, readSequenceLength, ""},
		"SequenceMap":        {17, readSequenceMap, ""},
		"SplitToSequence":    {11, readSplitToSequence, ""},

		// Random numbers, which become inputs.
		"Bernoulli":         {15, readBernoulli, "an input; its derivative is 0"},
		"RandomNormal":      {1, readRandomNormal(false), "an input"},
		"RandomNormalLike":  {1, readRandomNormal(true), "an input"},
		"RandomUniform":     {1, readRandomUniform(false), "an input"},
		"RandomUniformLike": {1, readRandomUniform(true), "an input"},

		// Pools.
		"AveragePool":       {1, readAveragePool, "ceil_mode of fixed sizes"},
		"GlobalAveragePool": {1, global(mean), ""},
		"GlobalLpPool":      {2, global(globalLpPool), ""},
		"GlobalMaxPool":     {1, global(reduceMax), ""},
		"LpPool":            {2, readLpPool, ""},
		"MaxPool":           {1, readMaxPool, "places of maxima without dilations; ceil_mode of fixed sizes"},

		// Normalisation.
		"BatchNormalization":           {1, readBatchNormalization, ""},
		"Dropout":                      {1, readDropout, "for training by an input, else the identity"},
		"GroupNormalization":           {18, readGroupNormalization, ""},
		"InstanceNormalization":        {1, readInstanceNormalization, ""},
		"LayerNormalization":           {1, readLayerNormalization, "before version 17 as ONNX Runtime writes it"},
		"LpNormalization":              {1, readLpNormalization, ""},
		"LRN":                          {1, readLRN, ""},
		"MeanVarianceNormalization":    {9, readMeanVarianceNormalization, ""},
		"RMSNormalization":             {23, readRMSNormalization, ""},
		"SimplifiedLayerNormalization": {1, readRMSNormalization, "as ONNX Runtime writes it"},

		// Layout.
		"Concat":          {1, readConcat, ""},
		"Constant":        {1, readConstant, "tensors and numbers"},
		"ConstantOfShape": {9, readConstantOfShape, ""},
		"DepthToSpace":    {1, readDepthToSpace, ""},
		"Expand":          {8, readExpand, ""},
		"EyeLike":         {9, readEyeLike, ""},
		"Flatten":         {1, readFlatten, ""},
		"Identity":        {1, readIdentity, ""},
		"Pad":             {1, readPad, ""},
		"Range":           {11, readRange, ""},
		"BlackmanWindow":  {17, readWindow(0.42, -0.5, 0.08), ""},
		"HammingWindow":   {17, readWindow(25.0/46, -21.0/46), ""},
		"HannWindow":      {17, readWindow(0.5, -0.5), ""},
		"MelWeightMatrix": {17, readMelWeightMatrix, "of constants"},
		"CenterCropPad":   {18, readCenterCropPad, "of fixed sizes, or to a shape that only values say"},
		"Reshape":         {1, readReshape, ""},
		"Resize":          {10, readResize, "antialiased of fixed sizes"},
		"Shape":           {1, readShape, ""},
		"Size":            {1, readSize, ""},
		"Slice":           {1, readSlice, ""},
		"SpaceToDepth":    {1, readSpaceToDepth, ""},
		"Split":           {1, readSplit, "into a known number of parts"},
		"Squeeze":         {1, readSqueeze, ""},
		"Tile":            {6, readTile, ""},
		"Transpose":       {1, readTranspose, ""},
		"Trilu":           {14, readTrilu, ""},
		"Upsample":        {7, readUpsample, ""},
		"Unsqueeze":       {1, readUnsqueeze, ""},

		// Indexing.
		"Gather":          {1, readGather, ""},
		"GatherElements":  {11, readGatherElements, ""},
		"GatherND":        {11, readGatherND, ""},
		"AffineGrid":      {20, readAffineGrid, ""},
		"Compress":        {9, readCompress, ""},
		"GridSample":      {16, readGridSample, ""},
		"NonZero":         {9, readNonZero, "the number of places is a symbol"},
		"MaxUnpool":       {9, readMaxUnpool, ""},
		"ReverseSequence": {10, readReverseSequence, ""},
		"TensorScatter":   {24, readTensorScatter, ""},
		"TopK":            {1, readTopK, ""},
		"OneHot":          {9, readOneHot, ""},
		"Scatter":         {9, readScatterElements, ""},
		"ScatterElements": {11, readScatterElements, ""},
		"ScatterND":       {11, readScatterND, ""},

		// Reductions.
		"ArgMax":                    {1, readArg(itself), ""},
		"ArgMin":                    {1, readArg(negate), ""},
		"CumSum":                    {11, readCumSum, ""},
		"CumProd":                   {26, readCumProd, ""},
		"NegativeLogLikelihoodLoss": {12, readNegativeLogLikelihoodLoss, ""},
		"SoftmaxCrossEntropyLoss":   {12, readSoftmaxCrossEntropyLoss, ""},
		"ReduceL1":                  {1, reduction(18, reduceL1), ""},
		"ReduceL2":                  {1, reduction(18, reduceL2), ""},
		"ReduceLogSum":              {1, reduction(18, reduceLogSum), ""},
		"ReduceLogSumExp":           {1, reduction(18, reduceLogSumExp), ""},
		"ReduceMax":                 {1, reduction(18, reduceMax), ""},
		"ReduceMean":                {1, reduction(18, mean), ""},
		"ReduceMin":                 {1, reduction(18, reduceMin), ""},
		"ReduceProd":                {1, reduction(18, reduceProd), "of fixed sizes"},
		"ReduceSum":                 {1, reduction(13, reduceSum), ""},
		"ReduceSumSquare":           {1, reduction(18, reduceSumSquare), ""},
	}
}

func readRelu(c *call) []*value {
	c.ignore("consumed_inputs")
	x := c.x(0)
	if x.DType().IsFloat() {
		return one(graph.Relu(x))
	}
	return one(graph.Maximum(x, constantLike(x, 0)))
}

func ceil(x *graph.Node) *graph.Node { return graph.Neg(graph.Floor(graph.Neg(x))) }
func tan(x *graph.Node) *graph.Node  { return graph.Div(graph.Sin(x), graph.Cos(x)) }

func sinh(x *graph.Node) *graph.Node {
	return graph.Scale(graph.Sub(graph.Exp(x), graph.Exp(graph.Neg(x))), 0.5)
}

func cosh(x *graph.Node) *graph.Node {
	return graph.Scale(graph.Add(graph.Exp(x), graph.Exp(graph.Neg(x))), 0.5)
}

// asin is atan(x / √((1−x)(1+x))).
func asin(x *graph.Node) *graph.Node {
	one := graph.Like(x, 1)
	return graph.Atan(graph.Div(x, graph.Sqrt(graph.Mul(graph.Sub(one, x), graph.Add(one, x)))))
}

func acos(x *graph.Node) *graph.Node { return graph.Sub(graph.Like(x, math.Pi/2), asin(x)) }

// asinh is sign(x)·log(|x| + √(x²+1)), which loses no digits for x < 0; the
// sign is left to a second logarithm so that derivatives at 0 are right.
func asinh(x *graph.Node) *graph.Node {
	root := graph.Sqrt(graph.Shift(graph.Mul(x, x), 1))
	positive, negative := graph.Log(graph.Add(root, x)), graph.Neg(graph.Log(graph.Sub(root, x)))
	return graph.Where(graph.Less(x, graph.Like(x, 0)), negative, positive)
}

func acosh(x *graph.Node) *graph.Node {
	root := graph.Mul(graph.Sqrt(graph.Shift(x, -1)), graph.Sqrt(graph.Shift(x, 1)))
	return graph.Log(graph.Add(x, root))
}

func atanh(x *graph.Node) *graph.Node {
	one := graph.Like(x, 1)
	return graph.Scale(graph.Log(graph.Div(graph.Add(one, x), graph.Sub(one, x))), 0.5)
}

func readSign(c *call) []*value {
	x := c.x(0)
	zero := constantLike(x, 0)
	up, down := graph.Cast(graph.Less(zero, x), x.DType()), graph.Cast(graph.Less(x, zero), x.DType())
	return one(graph.Sub(up, down))
}

func readIsInf(c *call) []*value {
	x := c.float(0)
	inf := graph.Like(x, math.Inf(1))
	y := constantLike(graph.Cast(x, x.DType()), 0)
	none := graph.Less(y, y)
	if c.integer("detect_positive", 1) != 0 {
		none = or(none, graph.Equal(x, inf))
	}
	if c.integer("detect_negative", 1) != 0 {
		none = or(none, graph.Equal(graph.Neg(x), inf))
	}
	return one(none)
}

// readMod reads the rest of a division: with the sign of the divisor, or with
// that of the dividend where fmod is set.
func readMod(c *call) []*value {
	fmod := c.integer("fmod", 0) != 0
	if s := c.pairOfSizes(modDim); s != nil {
		return []*value{{sizes: s}}
	}
	a, b := c.pair()
	if a.DType().IsFloat() {
		q := graph.Div(a, b)
		if !fmod {
			return one(graph.Sub(a, graph.Mul(graph.Floor(q), b)))
		}
		toward := graph.Where(graph.Less(q, graph.Like(q, 0)), ceil(q), graph.Floor(q))
		return one(graph.Sub(a, graph.Mul(toward, b)))
	}
	if fmod {
		return one(truncatedRest(a, b))
	}
	return one(floorMod(a, b))
}

// truncatedRest returns what is left of whole numbers after truncated division.
func truncatedRest(a, b *graph.Node) *graph.Node { return graph.Sub(a, graph.Mul(graph.Div(a, b), b)) }

// floorMod returns the rest of whole numbers that has the sign of the divisor.
func floorMod(a, b *graph.Node) *graph.Node {
	rest := truncatedRest(a, b)
	zero := constantLike(rest, 0)
	apart := xor(graph.Less(rest, zero), graph.Less(b, zero))
	return graph.Where(and(apart, not(graph.Equal(rest, zero))), graph.Add(rest, b), rest)
}

// Operator says how an operator of the standard set is read.
type Operator struct {
	Name  string
	Since int    // the version of the operator set from which on it is read
	Note  string // what is left out, or how it is read
}

// Operators returns the operators that can be read, by name.
func Operators() []Operator {
	var list []Operator
	for name, e := range table() {
		list = append(list, Operator{name, e.since, e.note})
	}
	slices.SortFunc(list, func(a, b Operator) int { return strings.Compare(a.Name, b.Name) })
	return list
}
