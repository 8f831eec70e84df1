package runtime

import (
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
)

// Devices returns the number of NVIDIA's devices that this process may use, as far as
// the environment (CUDA_VISIBLE_DEVICES) and the driver's files say.
func Devices() int {
	if list, ok := os.LookupEnv("CUDA_VISIBLE_DEVICES"); ok {
		return len(strings.FieldsFunc(list, func(r rune) bool { return r == ',' }))
	}
	found, _ := filepath.Glob("/dev/nvidia[0-9]*")
	return len(found)
}

// Processors returns the number of processors of the machine, also where this process is
// bound to some of them.
func Processors() int {
	found, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*")
	return max(len(found), goruntime.NumCPU())
}
