package runtime

import (
	"fmt"
	"slices"
	"strings"
)

// Choices are forms of the same computation, of which it depends on the device, the model and the
// batch which is the fastest: a list such as "elu,nhwc", "none" for none of them, and "" for
// those of the provider. Results differ in their last bits, but for Graphs.
type Choices string

// The choices.
const (
	// Elu has models make ELU, and its slope of that, a node each: 4 passes over memory. Without,
	// both are written by parts that share an exponential, in 9.
	Elu Choices = "elu"
	// NHWC has CUDA's provider lay pictures out with the channels last, in models of fixed sizes
	// that it can compute so without the CPU: their weights are constants.
	NHWC Choices = "nhwc"
	// Graphs has CUDA repeat runs as captured graphs where SessionOptions.Replay asks for it.
	Graphs Choices = "graphs"

	none Choices = "none"
)

// Choices returns those that a provider has, each alone; Auto has all.
func (p Provider) Choices() []Choices {
	switch p {
	case CUDA, Auto:
		return []Choices{Elu, NHWC, Graphs}
	case WebGPU:
		return []Choices{Elu}
	}
	return nil
}

// ParseChoices returns the choices of a provider that a text lists, with commas.
func ParseChoices(text string, p Provider) (Choices, error) {
	if text == "" || text == string(none) {
		return Choices(text), nil
	}
	c := none
	for one := range strings.SplitSeq(text, ",") {
		if !slices.Contains(p.Choices(), Choices(one)) {
			want := string(none)
			if len(p.Choices()) > 0 {
				want += fmt.Sprintf(", or some of %v with commas", p.Choices())
			}
			return "", fmt.Errorf("choices %q with provider %s, want %s", text, p, want)
		}
		c = c.With(Choices(one), true)
	}
	return c, nil
}

// Has reports whether one is among the choices.
func (c Choices) Has(one Choices) bool {
	return slices.Contains(strings.Split(string(c), ","), string(one))
}

// With returns the choices with one that is made, or not.
func (c Choices) With(one Choices, made bool) Choices {
	var names []string
	for _, o := range Auto.Choices() {
		if o == one && made || o != one && c.Has(o) {
			names = append(names, string(o))
		}
	}
	if len(names) == 0 {
		return none
	}
	return Choices(strings.Join(names, ","))
}

// Alternatives returns the choices that can be made, each alone; none on the CPU. ELU as a node is
// not for bfloat16, whose version of the operator CUDA's provider lacks.
func (i Info) Alternatives() []Choices {
	list := i.Provider.Choices()
	if i.Precision == BF16 {
		list = slices.DeleteFunc(list, func(one Choices) bool { return one == Elu })
	}
	return list
}

// choose makes those of the choices that can be made: for "" ELU as a node with CUDA.
func (i *Info) choose(c Choices) {
	if i.Provider == CPU {
		return
	}
	if c == "" && i.Provider == CUDA {
		c = Elu
	}
	i.Choices = none
	for _, one := range i.Alternatives() {
		i.Choices = i.Choices.With(one, c.Has(one))
	}
}

// With returns the runtime with other choices, for sessions to come, on the same devices. Close
// it too.
func (r *Runtime) With(c Choices) (*Runtime, error) {
	if err := r.acquire(); err != nil {
		return nil, err
	}
	w := &Runtime{info: r.info, device: r.device, traffic: r.traffic}
	w.info.choose(c)
	devices := make([]*device, 0, len(r.each))
	for _, one := range r.each {
		devices = append(devices, one.device)
	}
	if r.device == nil {
		devices = nil
	}
	w.use(devices)
	return w, nil
}

// Refused returns why sessions so far were made without one of the choices, "" for no reason.
func (r *Runtime) Refused() string {
	if why := r.refused.Load(); why != nil {
		return *why
	}
	return ""
}

// choicesFor returns those of the choices that loading a model is tried with.
func (r *Runtime) choicesFor(model ModelInfo, replay bool) Choices {
	c := r.info.Choices.With(Elu, false) // which is in the model
	if c.Has(Graphs) && replay {
		if op := unreplayed(model); op != "" {
			r.refuse(Graphs, fmt.Sprintf("%s was not seen to take all from the device", op))
			replay = false
		}
	}
	open := func(v ValueInfo) bool { return slices.Min(append(v.Shape, 0)) < 0 }
	fixed := !slices.ContainsFunc(model.Inputs, open)
	return c.With(Graphs, c.Has(Graphs) && replay).With(NHWC, c.Has(NHWC) && fixed)
}

func (r *Runtime) refuse(one Choices, why string) {
	why = fmt.Sprintf("%s: %s", one, why)
	r.refused.CompareAndSwap(nil, &why)
}
