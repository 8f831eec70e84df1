package memory

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Limit returns the bytes that this process may use: the machine's memory and
// swap, or what its control group allows if that is less.
func Limit() int64 { return limit("/") }

// limit is Limit with another root of the file system, for the tests.
func limit(root string) int64 {
	have := int64(0)
	if info, err := os.ReadFile(filepath.Join(root, "proc/meminfo")); err == nil {
		for line := range strings.Lines(string(info)) {
			var name string
			var kilobytes int64
			if n, _ := fmt.Sscanf(line, "%s %d kB", &name, &kilobytes); n == 2 && (name == "MemTotal:" || name == "SwapTotal:") {
				have += kilobytes << 10
			}
		}
	}
	if have == 0 {
		have = unknown
	}
	groups, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		folder, file := "sys/fs/cgroup", "memory.max"
		if parts[1] != "" { // version 1
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
			folder, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// A group's limit holds for those below it; a container sees its own as the root.
		for at := parts[2]; ; at = filepath.Dir(at) {
			have = min(have, number(filepath.Join(root, folder, at, file), have))
			if at == "/" || at == "." {
				break
			}
		}
	}
	return have
}

// number reads a file of one number, and returns other where there is none.
func number(path string, other int64) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return other
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
		return n
	}
	return other // max
}
