package evaluate

import (
	"context"
	"fmt"
	"math"

	"ebm/models/tensor"
)

// ScoreOptions are the settings of [InceptionScore]. The zero value has those
// of torch-fidelity.
type ScoreOptions struct {
	Splits        int    // 0 means 10
	Seed          uint32 // of the order; 0 means DefaultSeed
	InOrder       bool   // cut the samples as they come, without shuffling
	Probabilities bool   // the rows are probabilities, not logits
}

// Score is an Inception score, at least 1 and at most the number of classes.
type Score struct {
	Mean      float64 // over the splits
	Deviation float64 // of the splits, divided by their number
	Splits    int
	Warnings  []string
}

// InceptionScore returns the Inception score of logits [n, classes]: exp of
// the mean over samples of KL(p(y|x) ‖ p(y)) in each split, p(y) being the
// split's mean. Which logits is up to the network: torch-fidelity's are those
// without the bias of the last layer. Rows that are not finite or, as
// probabilities, not a distribution, and fewer samples than splits, are errors.
func InceptionScore(ctx context.Context, logits *tensor.Tensor, o ScoreOptions) (Score, error) {
	n, classes, err := checkFeatures("logits", logits)
	if err != nil {
		return Score{}, err
	}
	if o.Splits == 0 {
		o.Splits = 10
	}
	if o.Splits < 0 || n < o.Splits {
		return Score{}, fmt.Errorf("an Inception score of %d samples in %d splits, want a sample in each", n, o.Splits)
	}
	order := identity(n)
	if !o.InOrder {
		order = newRandomState(seedOr(o.Seed)).permutation(n)
	}
	scores := make([]float64, o.Splits)
	for i := range scores {
		if err := ctx.Err(); err != nil {
			return Score{}, err
		}
		rows := order[i*n/o.Splits : (i+1)*n/o.Splits]
		if scores[i], err = splitScore(logits, rows, classes, o.Probabilities); err != nil {
			return Score{}, err
		}
	}
	out := Score{Splits: o.Splits}
	out.Mean, out.Deviation = meanAndDeviation(scores)
	if n < fewSamples {
		out.Warnings = []string{fmt.Sprintf("%d samples in %d splits: the Inception score is biased downward, want %d samples or more",
			n, o.Splits, fewSamples)}
	}
	return out, nil
}

// splitScore is exp of (the entropy of the mean − the mean of the entropies),
// which is the mean divergence.
func splitScore(logits *tensor.Tensor, rows []int, classes int, probabilities bool) (float64, error) {
	p := make([]float64, classes)
	mean := make([]float64, classes)
	negative := 0.0 // the sum of p·log p
	for _, i := range rows {
		copyRow(p, logits, i)
		if probabilities {
			if err := checkProbabilities(p, i); err != nil {
				return 0, err
			}
		} else {
			softmax(p)
		}
		for j, v := range p {
			mean[j] += v
			negative += plogp(v)
		}
	}
	count := float64(len(rows))
	divergence := negative / count
	for _, v := range mean {
		divergence -= plogp(v / count)
	}
	return math.Exp(divergence), nil
}

// predictions are the probabilities and the entropies of samples, computed
// once for the many subsets that resampling takes of them.
type predictions struct {
	classes  int
	p        []float32 // [n, classes]
	negative []float64 // the sum of p·log p of each sample
}

func predictionsOf(logits *tensor.Tensor) predictions {
	n, classes := logits.Shape()[0], logits.Shape()[1]
	out := predictions{classes, make([]float32, n*classes), make([]float64, n)}
	row := make([]float64, classes)
	for i := range n {
		copyRow(row, logits, i)
		softmax(row)
		for j, v := range row {
			out.p[i*classes+j] = float32(v)
			out.negative[i] += plogp(v)
		}
	}
	return out
}

// score is the score of some samples in one split.
func (p predictions) score(rows []int) float64 {
	mean := make([]float64, p.classes)
	divergence := 0.0
	for _, i := range rows {
		for j, v := range p.p[i*p.classes : (i+1)*p.classes] {
			mean[j] += float64(v)
		}
		divergence += p.negative[i]
	}
	count := float64(len(rows))
	divergence /= count
	for _, v := range mean {
		divergence -= plogp(v / count)
	}
	return math.Exp(divergence)
}

// checkProbabilities checks that row i sums to 1, as closely as float16 does.
func checkProbabilities(p []float64, i int) error {
	sum := 0.0
	for j, v := range p {
		if v < 0 {
			return fmt.Errorf("probabilities: class %d of sample %d has %g", j, i, v)
		}
		sum += v
	}
	if math.Abs(sum-1) > 0.01 {
		return fmt.Errorf("probabilities: those of sample %d sum to %g, want 1", i, sum)
	}
	for j := range p {
		p[j] /= sum
	}
	return nil
}

func softmax(v []float64) {
	most := v[0]
	for _, x := range v {
		most = max(most, x)
	}
	sum := 0.0
	for j := range v {
		v[j] = math.Exp(v[j] - most)
		sum += v[j]
	}
	for j := range v {
		v[j] /= sum
	}
}

// plogp is p·log p, 0 at 0.
func plogp(p float64) float64 {
	if p <= 0 {
		return 0
	}
	return p * math.Log(p)
}

func identity(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

func seedOr(seed uint32) uint32 {
	if seed == 0 {
		return DefaultSeed
	}
	return seed
}
