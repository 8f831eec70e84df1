//go:build device

package runtime

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"ebm/models/tensor"
)

// The tests of devices (make device-test) want a build with the WebGPU plugin and a
// device, which software may play; or with EBM_TEST_PROVIDER=cuda one with CUDA.

func openDevice(t *testing.T) *Runtime {
	t.Helper()
	provider := Provider(os.Getenv("EBM_TEST_PROVIDER"))
	if provider == "" {
		provider = WebGPU
	}
	r, err := Open(t.Context(), Config{Provider: provider})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("%+v", r.Info())
	return r
}

// TestDeviceHeld trains weights that stay on the device: the bytes that cross are those of
// the first weights, of what each step is given and gives, and of the last weights.
func TestDeviceHeld(t *testing.T) {
	r := openDevice(t)
	s := load(t, r, step(t))
	w := [2]*tensor.Tensor{tensor.Of([]float32{10, 10, 10}, 3), tensor.New(tensor.Float32, 3)}
	heldSteps(t, r, s, w)
	if up, down := r.Traffic().ToDevice(), r.Traffic().FromDevice(); up != 12+3*(12+4) || down != 12+3*4 {
		t.Errorf("%d bytes to the device, %d from it, want %d and %d", up, down, 12+3*(12+4), 12+3*4)
	}
}

// TestDeviceTypes brings tensors of types and shapes to the device and back.
func TestDeviceTypes(t *testing.T) {
	r := openDevice(t)
	for _, c := range []*tensor.Tensor{
		tensor.Of([]float32{1, -2, 3}, 3, 1), tensor.Of([]int32{4, -5}, 2), tensor.Of([]int64{1 << 40, -7}, 1, 2),
		tensor.Of([]tensor.Float16Bits{0x3c00, 0xc000}, 2), tensor.New(tensor.Float32), tensor.New(tensor.Float32, 0, 3),
	} {
		before := c.Clone()
		held, err := r.Hold(c)
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if err := held.Upload(c); err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		c.CopyFrom(tensor.New(c.DType(), c.Shape()...))
		if err := held.Download(c); err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if fmt.Sprint(c.Raw()) != fmt.Sprint(before.Raw()) {
			t.Errorf("%v came back as %v, want %v", c, c.Raw(), before.Raw())
		}
		if err := held.Download(before); err == nil || !strings.Contains(err.Error(), "not held") {
			t.Errorf("another tensor: error %v, want that it is not held", err)
		}
		if err := held.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestAutoTakesNoSoftware opens what auto takes where software alone plays a device.
func TestAutoTakesNoSoftware(t *testing.T) {
	if d := openDevice(t); !d.Info().Software {
		t.Skipf("%s is hardware", d.Info().Adapter)
	} else if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Info().Provider != CPU {
		t.Errorf("auto opened %+v, want the CPU", r.Info())
	}
}
