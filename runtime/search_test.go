package runtime

import (
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"ebm/internal/files"
)

// emptySearch leaves the search nothing to find: no variable, and empty caches.
func emptySearch(t *testing.T) (userCache string) {
	t.Helper()
	t.Setenv(libraryVariable, "")
	t.Setenv("GOMODCACHE", t.TempDir())
	home := t.TempDir()
	for _, name := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(name, home)
	}
	root, err := cacheRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func touch(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSearchOrder(t *testing.T) {
	cache := emptySearch(t)
	find := func(cfg Config, want string, source Source) {
		t.Helper()
		lib, err := findLibrary(t.Context(), cfg)
		if err != nil || lib.path != want || lib.source != source {
			t.Errorf("found %+v, %v, want %s from %s", lib, err, want, source)
		}
	}
	older := touch(t, filepath.Join(cache, "1.9.0-cpu", libraryName()))
	find(Config{}, older, FromUserCache)
	newer := touch(t, filepath.Join(cache, "1.31.0-cpu", libraryName()))
	cuda := touch(t, filepath.Join(cache, "1.29.0-cuda", libraryName()))
	touch(t, filepath.Join(cache, "unknown-cpu", libraryName()))
	touch(t, filepath.Join(cache, ".1.99.0-cpu.1.partial~", libraryName()))
	find(Config{Provider: CPU}, newer, FromUserCache)
	find(Config{Provider: CUDA}, cuda, FromUserCache)
	find(Config{}, cuda, FromUserCache)
	webgpu := touch(t, filepath.Join(cache, "1.30.0-webgpu", libraryName()))
	find(Config{Provider: WebGPU}, webgpu, FromUserCache)
	find(Config{Provider: CUDA}, cuda, FromUserCache)
	find(Config{Provider: CPU}, newer, FromUserCache)
	if !hasDevice() {
		find(Config{}, webgpu, FromUserCache)
	}
	named := touch(t, filepath.Join(t.TempDir(), libraryName()))
	t.Setenv(libraryVariable, named)
	find(Config{}, named, FromEnvironment)
	folder := touch(t, filepath.Join(t.TempDir(), "lib", libraryName()))
	find(Config{Library: filepath.Dir(filepath.Dir(folder))}, folder, FromConfig)
}

func TestInFolderTakesTheHighestVersion(t *testing.T) {
	if goruntime.GOOS == "windows" {
		t.Skip("libraries have no versions in their names on Windows")
	}
	dir := filepath.Join(t.TempDir(), "odd [name]*")
	file := func(version string) string {
		return strings.Replace(versionedPattern(), "*", version, 1)
	}
	touch(t, filepath.Join(dir, file("1.9.2")))
	want := touch(t, filepath.Join(dir, file("1.30.0")))
	if got, ok := inFolder(dir); !ok || got != want {
		t.Errorf("found %s, %v, want %s", got, ok, want)
	}
	want = touch(t, filepath.Join(dir, libraryName()))
	if got, ok := inFolder(dir); !ok || got != want {
		t.Errorf("found %s, %v, want %s", got, ok, want)
	}
}

func TestOpenErrors(t *testing.T) {
	emptySearch(t)
	none := filepath.Join(t.TempDir(), "none")
	text := filepath.Join(t.TempDir(), libraryName())
	if err := os.WriteFile(text, []byte("no library"), 0o666); err != nil {
		t.Fatal(err)
	}
	open := func(cfg Config, source Source, words ...string) {
		t.Helper()
		r, err := Open(t.Context(), cfg)
		if err == nil {
			t.Errorf("opened %+v", r.Info())
			return
		}
		var e *LibraryError
		if !errors.As(err, &e) || e.Source != source || e.Remedy == "" {
			t.Errorf("error %#v, want a *LibraryError from %s with a remedy", err, source)
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("error %v, want %q in it", err, word)
			}
		}
	}
	open(Config{Library: none}, FromConfig, none, "no such file")
	open(Config{Library: t.TempDir()}, FromConfig, libraryName())
	open(Config{Library: text}, FromConfig, text)
	t.Setenv(libraryVariable, none)
	open(Config{}, FromEnvironment, none, libraryVariable)
	t.Setenv(libraryVariable, "")
	t.Setenv("PATH", "")
	open(Config{}, FromModuleCache, "go command", "ebm runtime install", libraryVariable)
}

func TestOpenChecksConfig(t *testing.T) {
	for _, cfg := range []Config{{Provider: "tpu"}, {Devices: []int{-1}}, {Devices: []int{1, 1}}, {Threads: -1}} {
		if _, err := Open(t.Context(), cfg); err == nil {
			t.Errorf("opened with %+v", cfg)
		}
	}
}

func TestOpenSharesTheLibrary(t *testing.T) {
	a := open(t)
	b, err := Open(t.Context(), Config{Provider: CPU, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if a.Info().Library != b.Info().Library || b.Info().Threads != 1 {
		t.Errorf("opened %+v and %+v", a.Info(), b.Info())
	}
	same, err := Open(t.Context(), Config{Provider: CPU, Library: a.Info().Library})
	if err != nil {
		t.Fatal(err)
	}
	defer same.Close()
	data, err := os.ReadFile(a.Info().Library)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), libraryName())
	if err := os.WriteFile(other, data, 0o777); err != nil {
		t.Fatal(err)
	}
	var e *LibraryError
	if _, err := Open(t.Context(), Config{Library: other}); !errors.As(err, &e) || !strings.Contains(err.Error(), a.Info().Library) {
		t.Errorf("another library: %v, want an error that names the one in use", err)
	}
}

func TestOpenAgainAfterClose(t *testing.T) {
	for range 3 {
		r, err := Open(t.Context(), Config{Provider: CPU})
		if err != nil {
			t.Fatal(err)
		}
		s, err := r.Load(affine(t), SessionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Close(), r.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAutoSaysWhyItComputesOnTheCPU(t *testing.T) {
	cpu := open(t)
	skipOnCUDABuild(t, cpu)
	var lines []string
	r, err := Open(t.Context(), Config{Log: func(line string) { lines = append(lines, line) }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	info := r.Info()
	if info.Provider != CPU || !strings.Contains(info.Fallback, providerFiles()[1]) {
		t.Errorf("info %+v, want the CPU, and a reason that names %s", info, providerFiles()[1])
	}
	// Who has no device, and asked for none, has no use for the line.
	if hasDevice() != (len(lines) == 1) || len(lines) == 1 && (len(lines[0]) > 80 || strings.Contains(lines[0], "\n")) {
		t.Errorf("with a device: %v, logged %q, want one line of 80 columns where there is a device, else none", hasDevice(), lines)
	}
	_, err = Open(t.Context(), Config{Provider: CUDA})
	var e *ProviderError
	if !errors.As(err, &e) || e.Provider != CUDA || len(e.Missing) == 0 || e.Remedy == "" {
		t.Errorf("cuda: error %v, want a *ProviderError that names the missing files", err)
	}
}

// skipOnCUDABuild skips a test of what a CPU build lacks.
func skipOnCUDABuild(t *testing.T, r *Runtime) {
	t.Helper()
	if files.IsRegular(filepath.Join(filepath.Dir(r.Info().Library), providerFiles()[1])) {
		t.Skip("the library here is a CUDA build")
	}
}

// TestPinnedModulesAgreeWithGoSum holds the constants of the search against
// the module's own go.mod and go.sum.
func TestPinnedModulesAgreeWithGoSum(t *testing.T) {
	sums, err := os.ReadFile(filepath.Join("..", "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("pinned.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		m, ok := pinned(goos)
		if !ok || !strings.Contains(string(sums), m.path+" "+m.version+" "+m.sum+"\n") {
			t.Errorf("go.sum lacks %+v", m)
		}
		if !strings.Contains(string(source), `"`+m.path+`"`) {
			t.Errorf("pinned.go does not import %s", m.path)
		}
	}
}
