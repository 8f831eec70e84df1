package runtime

import (
	"fmt"
	"slices"
	"strings"
)

// Provider names what computes: the part of ONNX Runtime that has the kernels.
type Provider string

// The providers. Auto is CUDA where it works, WebGPU where that works on hardware, and
// the CPU elsewhere; the empty Provider means Auto.
const (
	Auto   Provider = "auto"
	CPU    Provider = "cpu"
	CUDA   Provider = "cuda"
	WebGPU Provider = "webgpu"
)

// ParseProvider returns the provider called name, which is one of "auto",
// "cpu", "cuda" and "webgpu" in any case; "" is Auto.
func ParseProvider(name string) (Provider, error) {
	p := Provider(strings.ToLower(name))
	if p == "" {
		return Auto, nil
	}
	if !slices.Contains([]Provider{Auto, CPU, CUDA, WebGPU}, p) {
		return "", fmt.Errorf("unknown provider %q, want auto, cpu, cuda or webgpu", name)
	}
	return p, nil
}

// Source is the step of the search that found a library.
type Source string

// The steps of the search, in their order.
const (
	FromConfig      Source = "the configured path"
	FromEnvironment Source = "EBM_ORT_LIBRARY"
	FromProgram     Source = "beside the program"
	FromUserCache   Source = "the user cache"
	FromModuleCache Source = "the module cache"
)

// Config says which library and provider Open uses. The zero value searches
// for the library, takes the best provider and all processors.
type Config struct {
	// Library is the shared library's file, or the folder that holds it; ""
	// searches.
	Library string
	// Provider is Auto, CPU, CUDA or WebGPU; "" means Auto. Auto takes no WebGPU device
	// that software plays.
	Provider Provider
	// Devices are the numbers of the devices, from 0; none means device 0. Where there are
	// several, every session is loaded on each, and its runs are made on the one that has
	// least to do. The CPU, which is one device, then plays as many, for tests.
	Devices []int
	// Threads is the number of threads that one run computes with on the CPU;
	// 0 means as many as the Go scheduler has processors (GOMAXPROCS).
	Threads int
	// Precision is that of products on the device; "" is FP32. The CPU has no other, but
	// Rounding lets it round the factors and results of products to FP16 or BF16, for
	// telling what these cost.
	Precision Precision
	Rounding  bool
	// Choices are taken as far as the provider has them.
	Choices Choices
	// Traffic, when not nil, counts the runs of the runtime, and others'.
	Traffic *Traffic
	// Log, when not nil, gets one line when Auto falls back to the CPU though
	// there is a CUDA build or device, and one before something is fetched.
	Log func(line string)

	local bool // nothing is fetched
}

func (c Config) check() error {
	if _, err := ParseProvider(string(c.Provider)); err != nil {
		return err
	}
	for i, number := range c.Devices {
		if number < 0 || slices.Contains(c.Devices[:i], number) {
			return fmt.Errorf("device %s, want numbers from 0, each once", ListDevices(c.Devices))
		}
	}
	if _, err := ParsePrecision(string(c.Precision)); err != nil {
		return err
	}
	if c.Threads < 0 {
		return fmt.Errorf("threads %d: want 0 (all) or more", c.Threads)
	}
	return nil
}

// devices returns the numbers of the devices, one or more.
func (c Config) devices() []int {
	if len(c.Devices) == 0 {
		return []int{0}
	}
	return slices.Clone(c.Devices)
}

// ListDevices writes the numbers of devices as a flag has them, such as 0,1.
func ListDevices(numbers []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(numbers)), ","), "[]")
}

func (c Config) log(format string, args ...any) {
	if c.Log != nil {
		c.Log(fmt.Sprintf(format, args...))
	}
}

// Info describes what Open found.
type Info struct {
	Library   string     `json:"library"`            // the shared library's file
	Source    Source     `json:"source"`             // which step of the search found it
	Version   string     `json:"version"`            // ONNX Runtime's version, such as "1.28.2"
	Providers []Provider `json:"providers"`          // the providers that work here, best first
	Provider  Provider   `json:"provider"`           // the one in use: CPU, CUDA or WebGPU
	Fallback  string     `json:"fallback,omitempty"` // why Auto took the CPU, in one line; empty otherwise
	Device    int        `json:"device"`             // the number of the device, the first of several
	Devices   []int      `json:"devices"`            // the numbers of all of them
	Adapter   string     `json:"adapter,omitempty"`  // what the device is called, where that is known
	Software  bool       `json:"software,omitempty"` // a program on the CPU plays the device
	Threads   int        `json:"threads"`            // threads of a run on the CPU
	Precision Precision  `json:"precision"`          // of products
	TF32      bool       `json:"tf32"`               // Precision is TF32
	Choices   Choices    `json:"choices,omitempty"`
}

// Engine says in a few words what computes, such as "onnxruntime 1.28.2 cpu":
// results that are equal bit for bit come of equal ones.
func (i Info) Engine() string {
	text := fmt.Sprintf("onnxruntime %s %s", i.Version, i.Provider)
	if i.Precision != FP32 && i.Precision != "" {
		text += " " + string(i.Precision)
	}
	if c := i.Choices.With(Graphs, false); c != none { // graphs change no bit
		text += " " + string(c)
	}
	return text
}
