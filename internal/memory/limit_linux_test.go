package memory

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLimitOfGroups(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"machine": {map[string]string{"proc/meminfo": "MemTotal:  1000 kB\nMemFree: 3 kB\nSwapTotal: 24 kB\n"}, 1 << 20},
		"nothing": {nil, unknown},
		"version 2": {map[string]string{"proc/meminfo": "MemTotal: 1024 kB\n", "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max": "5000\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, 5000},
		"container": {map[string]string{"proc/meminfo": "MemTotal: 1024 kB\n", "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "6000\n"}, 6000},
		"version 1": {map[string]string{"proc/meminfo": "MemTotal: 1024 kB\n", "proc/self/cgroup": "3:cpu:/x\n2:memory:/x\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "7000\n"}, 7000},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			path := filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if got := limit(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
