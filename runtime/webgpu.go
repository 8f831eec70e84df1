package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"

	"ebm/internal/files"

	ort "github.com/yalue/onnxruntime_go"
)

const (
	remedyWebGPU = "install a build with it by `ebm runtime install --provider webgpu`, or compute with --provider cpu"
	remedyVulkan = "install the driver of the GPU (on Linux one for Vulkan, and libvulkan.so.1), or compute with --provider cpu"
)

const (
	webgpuPackage  = "onnxruntime-ep-webgpu"   // PyPI's name of the plugin
	webgpuProvider = "WebGpuExecutionProvider" // the plugin's name of its provider
	webgpuName     = "ebm.webgpu"              // under which it is registered
)

// softwareVariable makes the plugin take devices that a program on the CPU plays, too.
const softwareVariable = "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER"

// crashing is the version of the library in the pinned Go modules. Its sessions on the
// plugin crash the process as they are made; of the official builds, 1.28.0, 1.31.1 and
// 1.32.0 were tried, and work.
const crashing = "1.28.2"

// webgpuFiles are those of the plugin: the provider, and what it loads.
func webgpuFiles() []string { return webgpuFilesOf(goruntime.GOOS) }

func webgpuFilesOf(goos string) []string {
	switch goos {
	case "windows":
		return []string{"onnxruntime_providers_webgpu.dll", "dxcompiler.dll", "dxil.dll"}
	case "darwin":
		return []string{"libonnxruntime_providers_webgpu.dylib"}
	}
	return []string{"libonnxruntime_providers_webgpu.so"}
}

// webgpuPlugin returns the plugin beside the main library, if there is one.
func webgpuPlugin(library string) (path string, ok bool) {
	path = filepath.Join(filepath.Dir(library), webgpuFiles()[0])
	return path, files.IsRegular(path)
}

// openWebGPU opens the runtime's WebGPU device: one of hardware alone, unless software
// may play it.
func (r *Runtime) openWebGPU(software bool) (*device, *ProviderError) {
	wrong, number := &ProviderError{Provider: WebGPU, Library: r.info.Library, Remedy: remedyWebGPU}, r.info.Device
	plugin, ok := webgpuPlugin(r.info.Library)
	switch {
	case len(r.info.Devices) > 1:
		wrong.Problem, wrong.Remedy = fmt.Sprintf("--device %s, want one number: its plugin computes on one GPU", ListDevices(r.info.Devices)), ""
		return nil, wrong
	case r.info.Source == FromModuleCache || r.info.Version == crashing:
		wrong.Problem = fmt.Sprintf("ONNX Runtime %s of the Go module crashes with the plugin, want an official build", r.info.Version)
		return nil, wrong
	case !ok:
		wrong.Problem = fmt.Sprintf("%s has no plugin in its folder", filepath.Base(r.info.Library))
		wrong.Missing = webgpuFiles()[:1]
		return nil, wrong
	}
	process.mu.Lock()
	defer process.mu.Unlock()
	var devices []epDevice
	var err error
	keepSignalHandlers(func() { devices, err = registerWebGPU(r.info.Library, plugin, software) })
	if err != nil {
		wrong.Problem, wrong.Err, wrong.Remedy = "the plugin cannot be used", err, remedyVulkan
		return nil, wrong
	}
	if !software {
		devices = slices.DeleteFunc(devices, epDevice.software)
	}
	if number >= len(devices) {
		wrong.Problem, wrong.Remedy = fmt.Sprintf("%d devices were found, want one with the number %d", len(devices), number), remedyVulkan
		return nil, wrong
	}
	found := devices[number]
	d, err := newPluginDevice(process.calls, number, found)
	if err == nil {
		keepSignalHandlers(func() { err = d.try() })
	}
	if err != nil {
		wrong.Problem, wrong.Err, wrong.Remedy = fmt.Sprintf("device %d cannot be used", number), err, remedyVulkan
		return nil, wrong
	}
	process.devices = append(process.devices, d)
	r.info.Adapter, r.info.Software = found.name(), found.software()
	return d, nil
}

// registerWebGPU returns the devices of the plugin, hardware first. It registers the
// plugin where that has not been done with the same wish for software.
func registerWebGPU(library, plugin string, software bool) ([]epDevice, error) {
	key := fmt.Sprint(plugin, " ", software)
	if process.plugin != "" && process.plugin != key && len(process.devices) == 0 {
		if err := ort.UnregisterExecutionProviderLibrary(webgpuName); err != nil {
			return nil, plain(err)
		}
		process.plugin = ""
	}
	if process.plugin == "" {
		if _, set := os.LookupEnv(softwareVariable); software && !set {
			if err := os.Setenv(softwareVariable, "1"); err != nil {
				return nil, err
			}
			defer os.Unsetenv(softwareVariable)
		}
		if err := ort.RegisterExecutionProviderLibrary(webgpuName, plugin); err != nil {
			return nil, plain(err)
		}
		process.plugin = key
	}
	if process.calls == nil {
		c, err := openCalls(library)
		if err != nil {
			return nil, err
		}
		process.calls = c
	}
	devices, err := process.calls.devices()
	devices = slices.DeleteFunc(devices, func(d epDevice) bool { return d.provider != webgpuProvider })
	slices.SortStableFunc(devices, func(a, b epDevice) int {
		switch {
		case a.software() == b.software():
			return 0
		case b.software():
			return -1
		}
		return 1
	})
	return devices, err
}

// software reports whether a program on the CPU plays the device: Mesa's, Google's or
// Microsoft's.
func (d epDevice) software() bool {
	return !d.gpu || slices.Contains([]uint32{0x10005, 0x1ae0, 0x1414}, d.vendorID)
}

// name says which device it is, in a few words. One that software plays has the name of
// the processor otherwise.
func (d epDevice) name() string {
	if !d.gpu {
		return "software on the CPU"
	}
	name := strings.TrimSpace(fmt.Sprintf("%s %s %#04x:%#04x", d.vendor, d.metadata["Description"], d.vendorID, d.deviceID))
	if d.software() {
		name += ", software on the CPU"
	}
	return name
}

// closeDevices frees the devices of all runtimes and what the binding lacks; the caller
// holds process.mu and is the last user.
func closeDevices() error {
	for _, d := range process.devices {
		d.close()
	}
	process.devices = nil
	var err error
	if process.plugin != "" {
		err = plain(ort.UnregisterExecutionProviderLibrary(webgpuName))
		process.plugin = ""
	}
	if process.calls != nil {
		process.calls.close()
		process.calls = nil
	}
	return err
}
