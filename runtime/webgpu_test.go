package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/models/tensor"
)

// TestWebGPURefuses opens libraries on which the plugin cannot be used.
func TestWebGPURefuses(t *testing.T) {
	content, version := realLibrary(t)
	bare := t.TempDir()
	if err := os.WriteFile(filepath.Join(bare, libraryName()), []byte(content), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		library string
		words   []string
	}{
		"bare": {bare, []string{webgpuFiles()[0], "ebm runtime install --provider webgpu"}},
	} {
		_, err := Open(t.Context(), Config{Library: c.library, Provider: WebGPU})
		var wrong *ProviderError
		if !errors.As(err, &wrong) || wrong.Provider != WebGPU {
			t.Errorf("%s: error %v, want a *ProviderError", name, err)
			continue
		}
		if version == crashing {
			c.words = []string{"crashes with the plugin", "ebm runtime install --provider webgpu"}
		}
		for _, word := range c.words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: error %v, want %q in it", name, err, word)
			}
		}
	}
	// A plugin that is none leaves Auto on the CPU.
	if version == crashing {
		return
	}
	if err := os.WriteFile(filepath.Join(bare, webgpuFiles()[0]), []byte("no library"), 0o777); err != nil {
		t.Fatal(err)
	}
	r, err := Open(t.Context(), Config{Library: bare})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if i := r.Info(); i.Provider != CPU || !strings.Contains(i.Fallback, "webgpu") {
		t.Errorf("opened %+v, want the CPU and why not WebGPU", i)
	}
}

// TestSoftwareDevices tells devices that programs play from hardware.
func TestSoftwareDevices(t *testing.T) {
	for _, c := range []struct {
		device epDevice
		want   bool
	}{
		{epDevice{gpu: true, vendorID: 0x10de}, false},
		{epDevice{gpu: true, vendorID: 0x1002}, false},
		{epDevice{gpu: true, vendorID: 0x10005}, true},
		{epDevice{gpu: true, vendorID: 0x1ae0}, true},
		{epDevice{gpu: false, vendorID: 0x8086}, true},
	} {
		if got := c.device.software(); got != c.want {
			t.Errorf("%+v: software %v, want %v", c.device, got, c.want)
		}
	}
}

// TestHeldOnTheCPU binds tensors that are held where nothing has to be.
func TestHeldOnTheCPU(t *testing.T) {
	r := open(t)
	s := load(t, r, step(t))
	w := [2]*tensor.Tensor{tensor.Of([]float32{10, 10, 10}, 3), tensor.New(tensor.Float32, 3)}
	heldSteps(t, r, s, w)
	if got := r.Traffic(); got.Runs() != 3 || got.ToDevice() != 0 || got.FromDevice() != 0 {
		t.Errorf("%d runs, %d and %d bytes crossed, want 3, 0 and 0", got.Runs(), got.ToDevice(), got.FromDevice())
	}
}

// heldSteps makes three training steps back and forth between held weights, and looks
// at them.
func heldSteps(t *testing.T, r *Runtime, s *Session, w [2]*tensor.Tensor) {
	t.Helper()
	held, err := r.Hold(w[0], w[1], w[0])
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := held.Upload(w[0]); err != nil {
		t.Fatal(err)
	}
	x, rate, loss := tensor.Of([]float32{1, 2, 3}, 3), tensor.New(tensor.Float32), tensor.New(tensor.Float32)
	tensor.Data[float32](rate)[0] = 1
	var turns [2]*Binding
	for i := range turns {
		turns[i], err = s.BindHeld(held, tensors{"x": x, "w": w[i], "rate": rate}, tensors{"w.next": w[1-i], "loss": loss})
		if err != nil {
			t.Fatal(err)
		}
		defer turns[i].Close()
	}
	for i, want := range []float32{60, 46, 32} {
		if err := turns[i%2].Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := tensor.Data[float32](loss)[0]; got != want {
			t.Errorf("step %d: loss %v, want %v", i, got, want)
		}
	}
	if err := held.Download(w[1]); err != nil {
		t.Fatal(err)
	}
	wantData[float32](t, w[1], "[3]", 7, 4, 1)
	if err := errors.Join(turns[0].Close(), turns[1].Close(), held.Close()); err != nil {
		t.Fatal(err)
	}
	if err := held.Upload(w[0]); !errors.Is(err, ErrClosed) {
		t.Errorf("upload after Close: %v", err)
	}
}
