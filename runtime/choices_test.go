package runtime

import "testing"

func TestChoices(t *testing.T) {
	for _, c := range []struct {
		text     string
		provider Provider
		want     Choices // "wrong" for an error
	}{
		{"", CPU, ""}, {"none", CPU, "none"}, {"elu", CPU, "wrong"}, {"elu", WebGPU, "elu"}, {"elu,nhwc", WebGPU, "wrong"},
		{"graphs,elu", CUDA, "elu,graphs"}, {"nhwc,none", CUDA, "wrong"}, {"nhwc,", Auto, "wrong"}, {"nhwc,nhwc", Auto, "nhwc"},
	} {
		got, err := ParseChoices(c.text, c.provider)
		if err != nil && got == "" {
			got = "wrong"
		}
		if got != c.want {
			t.Errorf("%q with %s: %q, error %v, want %q", c.text, c.provider, got, err, c.want)
		}
	}
	if c := Elu.With(NHWC, true).With(Elu, false); c != NHWC || c.Has(Elu) || c.With(NHWC, false) != "none" {
		t.Errorf("%q, want nhwc alone", c)
	}
	for want, i := range map[int]Info{0: {Provider: CPU}, 1: {Provider: WebGPU}, 2: {Provider: CUDA, Precision: BF16}, 3: {Provider: CUDA}} {
		if got := i.Alternatives(); len(got) != want {
			t.Errorf("%s %s has %v, want %d", i.Provider, i.Precision, got, want)
		}
	}
	// The bits of graphs are those of what they repeat.
	for want, c := range map[string]Choices{"onnxruntime 1 cuda": Graphs, "onnxruntime 1 cuda elu": Elu.With(Graphs, true)} {
		if got := (Info{Version: "1", Provider: CUDA, Precision: FP32, Choices: c}).Engine(); got != want {
			t.Errorf("the engine with %s is %q, want %q", c, got, want)
		}
	}
}

// A runtime with other choices is one of its own on the same devices.
func TestWith(t *testing.T) {
	one, err := Open(t.Context(), Config{Provider: CPU, Devices: []int{0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Close() })
	other, err := one.With(Elu)
	if err != nil {
		t.Fatal(err)
	}
	if i := other.Info(); i.Choices != "" || len(other.Each()) != 2 {
		t.Errorf("%+v, want the CPU without choices, as two devices", i)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.With(Elu); err == nil {
		t.Error("a closed runtime has another")
	}
	if two, err := one.With(""); err != nil || two.Refused() != "" || two.Close() != nil {
		t.Errorf("error %v, want another of the runtime that is open", err)
	}
}
