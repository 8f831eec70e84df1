package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ebm"
	"ebm/models/classifier"
	"ebm/models/energy"
	"ebm/models/zoo"
)

// shippedModel is what models says of one.
type shippedModel struct {
	Name     string  `json:"name"`
	Kind     string  `json:"kind"` // energy or classifier
	Network  string  `json:"network"`
	Data     string  `json:"data"`
	Weights  int     `json:"parameters"`
	Hash     string  `json:"weights_sha256"`
	About    string  `json:"about"`
	Command  string  `json:"command"`
	Date     string  `json:"date"`
	Machine  string  `json:"machine"`
	Hours    float64 `json:"hours"`
	Steps    int     `json:"steps"`
	Batch    int     `json:"batch"`
	Loss     float64 `json:"last_loss"`
	Accuracy float64 `json:"accuracy,omitempty"` // of a classifier, share of Pictures test pictures
	Pictures int     `json:"test_pictures,omitempty"`
}

func newModels(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "models [NAME]",
		Short: "List the shipped models: what they are, how they were made, how good they are",
		Long: `models lists the energies and classifiers that come with the program. The name
of an energy stands wherever a run does (--run mnist16); a classifier is called
by its data (compose --classifier mnist:7). With a NAME it says all of one.`,
		Example: "  ebm models\n  ebm models mnist16",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			list, err := shippedModels()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				list = slices.DeleteFunc(list, func(m shippedModel) bool { return m.Name != args[0] })
				if len(list) == 0 {
					return usagef("%s: no such shipped model, want one of %s", args[0], strings.Join(append(zoo.Names(), zoo.Classifiers()...), ", "))
				}
			}
			switch {
			case asJSON:
				return a.printJSON(list)
			case len(args) == 1:
				for _, m := range list {
					m.print(a)
				}
			default:
				var b strings.Builder
				b.WriteString("name\tkind\tdata\tparameters\tmeasured\n")
				for _, m := range list {
					fmt.Fprintf(&b, "%s\t%s\t%s\t%d\t%s\n", m.Name, m.Kind, m.Data, m.Weights, m.measured())
				}
				a.table(b.String())
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the models as JSON")
	return cmd
}

func shippedModels() ([]shippedModel, error) {
	var list []shippedModel
	for _, name := range zoo.Names() {
		m, err := ebm.Load(name)
		if err != nil {
			return nil, err
		}
		card, err := zoo.CardOf(name)
		if err != nil {
			return nil, err
		}
		s := shippedModel{Name: name, Kind: "energy", Network: fmt.Sprint(m.Network), Data: m.About["data"], Weights: count(m.Weights),
			Hash: m.Hash}
		list = append(list, s.made(card))
	}
	for _, name := range zoo.Classifiers() {
		set, err := zoo.OpenClassifier(name)
		if err != nil {
			return nil, err
		}
		w := energy.Weights(set.Tensors())
		net, err := classifier.Recognise(w)
		if err != nil {
			return nil, fmt.Errorf("shipped classifier of %s: %w", name, err)
		}
		card, err := zoo.ClassifierCardOf(name)
		if err != nil {
			return nil, err
		}
		s := shippedModel{Name: name, Kind: "classifier", Network: net.String(), Data: name, Weights: count(w), Hash: set.Hash()}
		list = append(list, s.made(card))
	}
	return list, nil
}

// made adds what the model's card says.
func (m shippedModel) made(c zoo.Card) shippedModel {
	m.About, m.Command, m.Date, m.Machine, m.Hours = c.About, c.Command, c.Date, c.Machine, c.Hours+c.Minutes/60
	m.Steps, m.Batch, m.Accuracy, m.Pictures = c.Steps, c.Batch, c.Accuracy, c.Pictures
	if n := len(c.Loss); n > 0 {
		m.Loss = c.Loss[n-1][1]
	}
	return m
}

// count returns the number of parameters.
func count(w energy.Weights) int {
	n := 0
	for _, t := range w {
		n += t.Len()
	}
	return n
}

// measured says how good the model is.
func (m shippedModel) measured() string {
	if m.Pictures > 0 {
		return fmt.Sprintf("%.2f %% of %d pictures", 100*m.Accuracy, m.Pictures)
	}
	return fmt.Sprintf("loss %.4g, %d steps", m.Loss, m.Steps)
}

// print says all of one model.
func (m shippedModel) print(a *app) {
	a.table(fmt.Sprintf("%s\t%s\nabout\t%s\nnetwork\t%s\ndata\t%s\nparameters\t%d\nmeasured\t%s\ntrained\t%d steps of %d, %.2g hours on "+
		"%s, ended %s\ncommand\t%s\nweights\t%s (SHA-256)\n",
		m.Name, m.Kind, m.About, m.Network, m.Data, m.Weights, m.measured(), m.Steps, m.Batch, m.Hours, m.Machine, m.Date, m.Command, m.Hash))
}
