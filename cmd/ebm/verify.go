package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ebm"
	"ebm/internal/atomicfile"
	"ebm/internal/dataset"
	"ebm/internal/verify"
)

func newVerify(a *app) *cobra.Command {
	var (
		model     modelFlags
		images    string
		onnx      string
		out       string
		asJSON    bool
		noTrain   bool
		each      int
		seed      uint64
		tolerance float64
	)
	cmd := &cobra.Command{
		Use:   "verify (--run REF | --weights FILE)",
		Short: "Check the exported gradient against finite differences and the float64 interpreter",
		Long: `verify exports a model's score and training step, runs them in ONNX Runtime in
float32, and compares them with the float64 interpreter, and that with central
differences of the energy. The certificate names versions and hashes. The exit
status is 1 when a check fails.`,
		Example: "  ebm verify --run mnist16 --out certificate.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if each < 1 || !(tolerance >= 0) {
				return usagef("--each %d --tolerance %g: one picture or more and no negative error are wanted", each, tolerance)
			}
			m, err := model.load()
			if err != nil {
				return err
			}
			o := verify.Options{Each: each, Seed: seed, ScoreTolerance: tolerance, WithoutTraining: noTrain}
			if images != "" {
				if o.Pictures, err = dataset.Pictures(cmd.Context(), images, m.Network.InputShape()); err != nil {
					return err
				}
			}
			if onnx != "" {
				if o.Model, err = os.ReadFile(onnx); err != nil {
					return err
				}
			}
			c, err := certify(cmd.Context(), a, m, o)
			if err != nil {
				return err
			}
			if out != "" {
				if err := atomicfile.Write(out, c.WriteJSON); err != nil {
					return err
				}
			}
			a.endProgress()
			write := c.WriteText
			if asJSON {
				write = c.WriteJSON
			}
			if err := write(a.stdout); err != nil {
				return err
			}
			if !c.Passed() {
				return errors.New("a check failed")
			}
			return nil
		},
	}
	model.add(cmd.Flags())
	cmd.Flags().StringVar(&images, "images", "", "pictures to check on, as for denoise (default: uniform noise)")
	cmd.Flags().StringVar(&onnx, "onnx", "", "check this score.onnx of the model in place of a fresh export")
	cmd.Flags().StringVar(&out, "out", "", "also write the certificate to this file, as JSON")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the certificate as JSON")
	cmd.Flags().BoolVar(&noTrain, "without-training", false, "leave out the training step")
	cmd.Flags().IntVar(&each, "each", 1, "pictures for each noise level")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "seed of pictures, noise and directions")
	cmd.Flags().Float64Var(&tolerance, "tolerance", 0, "largest score error that passes, relative to the largest score (default 1e-6, or what float32 sums of the network's length allow)")
	return cmd
}

// certify certifies a model with what the flags say of the runtime.
func certify(ctx context.Context, a *app, m *ebm.Model, o verify.Options) (verify.Certificate, error) {
	rt, err := a.runtime(ctx)
	if err != nil {
		return verify.Certificate{}, err
	}
	o.Objective = m.Objective()
	o.Program = "ebm " + version()
	o.Progress = a.progress()
	c, err := verify.Score(ctx, rt, m.Network, m.Weights, o)
	if err != nil {
		return c, fmt.Errorf("%s: %w", m.Name, err)
	}
	return c, nil
}
