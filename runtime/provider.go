package runtime

import (
	"debug/elf"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"ebm/internal/files"
	"ebm/models/tensor"
)

const (
	remedyCUDA = "install a CUDA build with `ebm runtime install --provider cuda`, or compute with --provider cpu"
	remedyLibs = "install NVIDIA's driver, the CUDA libraries of that version and cuDNN, and name their folders in LD_LIBRARY_PATH, or " +
		"compute with --provider cpu"
)

// notEnabled is what a main library without the means to load the CUDA
// provider answers, and hence also a text in its file.
const notEnabled = "CUDA execution provider is not enabled in this build"

// reason is the error without the remedy, in one line.
func (e *ProviderError) reason() string {
	short := *e
	short.Remedy = ""
	return strings.Join(strings.Fields(short.Error()), " ")
}

// providerFiles are the files that the main library loads for CUDA, from its
// own folder.
func providerFiles() []string {
	if goruntime.GOOS == "windows" {
		return []string{"onnxruntime_providers_shared.dll", "onnxruntime_providers_cuda.dll"}
	}
	return []string{"libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"}
}

// checkCUDAFiles looks at the files beside the main library: whether the CUDA
// provider is there, of the main library's version, with everything it needs.
// What it misses here would fail later, with less to say about it.
func checkCUDAFiles(library, version string) *ProviderError {
	wrong := &ProviderError{Provider: CUDA, Library: library, Remedy: remedyCUDA}
	if goruntime.GOOS != "linux" && goruntime.GOOS != "windows" {
		wrong.Problem = "there is no CUDA for " + goruntime.GOOS
		wrong.Remedy = "compute with --provider cpu"
		return wrong
	}
	dir := filepath.Dir(library)
	for _, name := range providerFiles() {
		if !files.IsRegular(filepath.Join(dir, name)) {
			wrong.Missing = append(wrong.Missing, name)
		}
	}
	if len(wrong.Missing) > 0 {
		wrong.Problem = fmt.Sprintf("%s is a CPU build, or its provider's files are not in its folder", filepath.Base(library))
		return wrong
	}
	if wrong := checkCUDAVersions(library, version); wrong != nil {
		return wrong
	}
	wrong.Missing = missingLibraries(filepath.Join(dir, providerFiles()[1]))
	if len(wrong.Missing) > 0 {
		wrong.Problem = "libraries that the CUDA provider needs are missing"
		wrong.Remedy = remedyLibs
		return wrong
	}
	return nil
}

// checkCUDAVersions compares the version of the CUDA provider beside the main
// library with the main library's own.
func checkCUDAVersions(library, version string) *ProviderError {
	name := providerFiles()[1]
	wrong := &ProviderError{Provider: CUDA, Library: library, Remedy: remedyCUDA}
	found, err := embeddedVersions(filepath.Join(filepath.Dir(library), name))
	if err != nil {
		wrong.Problem, wrong.Err = "cannot read "+name, err
		return wrong
	}
	if version != "" && len(found) > 0 && !slices.Contains(found, version) {
		wrong.Problem = fmt.Sprintf("%s is of ONNX Runtime %s, but %s is %s, want one version",
			name, strings.Join(found, " or "), filepath.Base(library), version)
		return wrong
	}
	return nil
}

// missingLibraries returns those of NVIDIA's libraries which the shared
// library at path needs and the loader does not find.
func missingLibraries(path string) []string {
	f, err := elf.Open(path)
	if err != nil {
		return nil // not Linux: the loader's own error has to do
	}
	defer f.Close()
	needed, err := f.ImportedLibraries()
	if err != nil {
		return nil
	}
	var missing []string
	for _, name := range needed {
		if (strings.HasPrefix(name, "libcu") || strings.HasPrefix(name, "libnv")) && !loadable(name) {
			missing = append(missing, name)
		}
	}
	return missing
}

// counted says how many devices there are.
func counted(n int) string {
	if n == 1 {
		return "is 1 device"
	}
	return fmt.Sprintf("are %d devices", n)
}

// cudaLibrary returns the name of CUDA's own library that the provider beside a main library
// needs, "" where that is not seen.
func cudaLibrary(library string) string {
	f, err := elf.Open(filepath.Join(filepath.Dir(library), providerFiles()[1]))
	if err != nil {
		return "" // not Linux
	}
	defer f.Close()
	needed, err := f.ImportedLibraries()
	for _, name := range needed {
		if err == nil && strings.HasPrefix(name, "libcudart.so") {
			return name
		}
	}
	return ""
}

// hasDevice reports whether the machine seems to have a device of NVIDIA's: its
// driver's files are there, in Linux or in the Linux of Windows.
func hasDevice() bool {
	for _, path := range []string{"/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version"} {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	_, err := exec.LookPath("nvidia-smi")
	return goruntime.GOOS == "windows" && err == nil
}

// openCUDA opens the devices of the runtime with CUDA, if that works.
func (r *Runtime) openCUDA() (devices []*device, wrong *ProviderError) {
	for _, number := range r.info.Devices {
		if wrong := probeCUDA(r.info.Library, r.info.Version, number, r.info.Devices); wrong != nil {
			return nil, wrong
		}
	}
	r.info.Adapter = deviceName(cudaLibrary(r.info.Library), r.info.Device)
	process.mu.Lock()
	defer process.mu.Unlock()
	for _, number := range r.info.Devices {
		var d *device
		var err error
		keepSignalHandlers(func() {
			if process.calls == nil {
				if process.calls, err = openCalls(r.info.Library); err != nil {
					return
				}
			}
			d, err = newCUDADevice(process.calls, number)
		})
		if err != nil {
			return nil, &ProviderError{Provider: CUDA, Library: r.info.Library, Err: err, Remedy: remedyLibs,
				Problem: fmt.Sprintf("device %d cannot hold tensors", number)}
		}
		process.devices = append(process.devices, d)
		devices = append(devices, d)
	}
	return devices, nil
}

// probeCUDA finds out whether CUDA works here, by running a convolution on a device, one
// of those that are asked for.
func probeCUDA(library, version string, device int, all []int) *ProviderError {
	if wrong := checkCUDAFiles(library, version); wrong != nil {
		return wrong
	}
	if n, known := deviceCount(cudaLibrary(library)); known && device >= n && n > 0 {
		return &ProviderError{Provider: CUDA, Library: library,
			Problem: fmt.Sprintf("--device %s: there %s, want numbers below %d", ListDevices(all), counted(n), n)}
	}
	var err error
	keepSignalHandlers(func() { err = tryCUDA(device) })
	if err == nil {
		return nil
	}
	wrong := &ProviderError{Provider: CUDA, Library: library, Err: err, Remedy: remedyLibs,
		Problem: fmt.Sprintf("device %d cannot be used", device)}
	if strings.Contains(err.Error(), notEnabled) {
		wrong.Problem, wrong.Err, wrong.Remedy = filepath.Base(library)+" is a CPU build", nil, remedyCUDA
	}
	return wrong
}

// probe is the smallest model that takes what every network here takes: a
// convolution, y = Conv(x, w). TestProbe writes it.
//
//go:embed probe.onnx
var probe []byte

func tryCUDA(device int) (err error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return plain(err)
	}
	defer options.Destroy()
	if err := options.SetLogSeverityLevel(ort.LoggingLevelFatal); err != nil {
		return plain(err)
	}
	if err := appendCUDA(options, device, false, none, nil); err != nil {
		return err
	}
	return tryConvolution(options)
}

// try runs a convolution on a plugin provider's device.
func (d *device) try() error {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return plain(err)
	}
	defer options.Destroy()
	if err := errors.Join(options.SetLogSeverityLevel(ort.LoggingLevelFatal), d.calls.append(options, *d.plugin, nil)); err != nil {
		return plain(err)
	}
	return tryConvolution(options)
}

func tryConvolution(options *ort.SessionOptions) error {
	session, err := ort.NewDynamicAdvancedSessionWithONNXData(probe, []string{"x", "w"}, []string{"y"}, options)
	if err != nil {
		return plain(err)
	}
	defer session.Destroy()
	in, out := tensor.New(tensor.Float32, 1, 1, 8, 8), tensor.New(tensor.Float32, 1, 1, 6, 6)
	values, err := newValues([]*tensor.Tensor{in, tensor.New(tensor.Float32, 1, 1, 3, 3), out})
	defer closeAll(values)
	if err != nil {
		return err
	}
	return plain(session.Run([]ort.Value{values[0].ort, values[1].ort}, []ort.Value{values[2].ort}))
}

// appendCUDA adds the CUDA provider to a session's options. Products stay in
// float32 unless tf32 is wanted, and convolutions are chosen by rule, not by the
// clock, so that runs agree with the CPU and with each other; more overrides.
func appendCUDA(o *ort.SessionOptions, device int, tf32 bool, c Choices, more map[string]string) error {
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return plain(err)
	}
	defer cuda.Destroy()
	settings := map[string]string{
		"device_id":              strconv.Itoa(device),
		"use_tf32":               "0",
		"cudnn_conv_algo_search": "HEURISTIC",
		"arena_extend_strategy":  "kSameAsRequested",
	}
	if tf32 {
		settings["use_tf32"] = "1"
	}
	for one, name := range map[Choices]string{NHWC: "prefer_nhwc", Graphs: "enable_cuda_graph"} {
		if c.Has(one) {
			settings[name] = "1"
		}
	}
	maps.Copy(settings, more)
	if err := cuda.Update(settings); err != nil {
		return loaderError(err)
	}
	if err := o.AppendExecutionProviderCUDA(cuda); err != nil {
		return loaderError(err)
	}
	return nil
}

// loaderError cuts ONNX Runtime's report of a library that does not load down
// to the loader's words, which name the missing file.
func loaderError(err error) error {
	text := err.Error()
	if _, after, ok := strings.Cut(text, "with error: "); ok {
		return errors.New(after)
	}
	return errors.New(text)
}
