package probe

import (
	"context"
	"math"

	"ebm/models/tensor"
	"ebm/runtime/progress"
)

// Level holds what a model says of pictures with noise of one level.
type Level struct {
	Sigma           float64 // σ, in units of x
	Energy          float64 // mean of E(x + σ·n) in nats, NaN where the model has no energy
	EnergyDeviation float64 // standard deviation over pictures
	// Left is the mean squared error of the denoising jump over that of the
	// noisy picture, σ²·d: the part of the noise that is left. 0 is perfect,
	// and 1 is what no jump at all leaves.
	Left float64
	Loss float64 // mean of l(σ) times the squared error: the objective at this level
	// Slope is the regression of x − x̃ on the jump, ⟨x − x̃, D − x̃⟩/‖D − x̃‖² in the mean:
	// by how much a jump along ∇E should be longer. It is 1 for the best denoiser of the
	// level, of which x − D is orthogonal to every function of x̃.
	Slope float64
	// Measured is the level that the jump says, ‖D − x̃‖/√d in the mean square, over σ.
	Measured float64
}

// Levels measures pictures with noise of each level, one draw a picture. The
// energy is expected to rise with the noise: noisy pictures are less likely.
func (m *Model) Levels(ctx context.Context, p Pictures, sigmas []float64, show progress.Progress) ([]Level, error) {
	stage := progress.Begin(show, "energy against noise", int64(len(p.Index)*len(sigmas)), "pictures")
	defer stage.Done()
	d := float64(tensor.Volume(m.layout.Shape))
	var list []Level
	for k, sigma := range sigmas {
		r, err := m.Read(ctx, p, sigma, drawLevels+uint32(k), stage)
		if err != nil {
			return nil, err
		}
		l := Level{Sigma: sigma, Energy: math.NaN(), EnergyDeviation: math.NaN()}
		if m.hasEnergy {
			l.Energy, l.EnergyDeviation = meanAndDeviation(r.Energy)
		}
		squares, _ := meanAndDeviation(r.Error)
		l.Left = squares / (sigma * sigma * d)
		l.Loss, _ = meanAndDeviation(r.Loss)
		moved, _ := meanAndDeviation(r.Moved)
		noise, _ := meanAndDeviation(r.Noise)
		l.Slope = (noise + moved - squares) / (2 * moved)
		l.Measured = math.Sqrt(moved/d) / sigma
		list = append(list, l)
	}
	return list, nil
}
