package runtime

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// compile makes a shared library of C code.
func compile(t *testing.T, path, code string, flags ...string) {
	t.Helper()
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	source := path + ".c"
	if err := os.WriteFile(source, []byte(code), 0o666); err != nil {
		t.Fatal(err)
	}
	args := slices.Concat([]string{"-shared", "-fPIC", "-o", path, source}, flags)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", cc, args, err, out)
	}
}

// versioned are the flags that name a library's symbols VERS_version, as
// ONNX Runtime's build does.
func versioned(t *testing.T, version string) []string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("VERS_"+version+" { global: *; };\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return []string{"-Wl,--version-script=" + script}
}

// TestWrongLibraries opens libraries that are not the right one: the errors
// say what they are.
func TestWrongLibraries(t *testing.T) {
	dir := t.TempDir()
	const refusing = `
		struct api { const void *(*get)(unsigned); const char *(*version)(void); };
		static const void *get(unsigned v) { return 0; }
		static const char *version(void) { return "1.2.3"; }
		static struct api base = { get, version };
		const struct api *OrtGetApiBase(void) { return &base; }`
	for name, c := range map[string]struct {
		code  string
		flags []string
		words []string
	}{
		"old":     {refusing, versioned(t, "1.20.1"), []string{"is ONNX Runtime 1.20.1", minVersion}},
		"unknown": {refusing, nil, []string{"older than", minVersion}},
		"other":   {"int something(void) { return 1; }", nil, []string{"not ONNX Runtime"}},
	} {
		path := filepath.Join(dir, name+".so")
		compile(t, path, c.code, c.flags...)
		_, err := Open(t.Context(), Config{Library: path})
		var e *LibraryError
		if !errors.As(err, &e) || e.Path != path || e.Remedy == "" {
			t.Errorf("%s: error %v, want a *LibraryError of %s with a remedy", name, err, path)
			continue
		}
		for _, word := range c.words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: error %v, want %q in it", name, err, word)
			}
		}
	}
}

// TestCheckCUDAFiles goes through what a CUDA build can lack.
func TestCheckCUDAFiles(t *testing.T) {
	dir := t.TempDir()
	main := touch(t, filepath.Join(dir, libraryName()))
	check := func(missing []string, words ...string) {
		t.Helper()
		err := checkCUDAFiles(main, "1.31.1")
		if err == nil || !slices.Equal(err.Missing, missing) {
			t.Fatalf("error %v, want missing %v", err, missing)
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("error %v, want %q in it", err, word)
			}
		}
	}
	files := providerFiles()
	check(files, "CPU build", "ebm runtime install")
	touch(t, filepath.Join(dir, files[0]))
	check(files[1:])

	provider := filepath.Join(dir, files[1])
	const code = `const char *version(void) { return "\0" "1.30.0"; } int blas(void); int use(void) { return blas(); }`
	blas := filepath.Join(t.TempDir(), "libcublasLt.so.99")
	compile(t, blas, "int blas(void) { return 1; }", "-Wl,-soname,libcublasLt.so.99")
	compile(t, provider, code, blas)
	check(nil, "1.30.0", "1.31.1")

	compile(t, provider, strings.Replace(code, "1.30.0", "1.31.1", 1), blas)
	check([]string{"libcublasLt.so.99"}, "libcublasLt.so.99", "driver")

	compile(t, provider, `const char *version(void) { return "\0" "1.31.1"; }`)
	if err := checkCUDAFiles(main, "1.31.1"); err != nil {
		t.Errorf("complete build: %v", err)
	}
}

// TestCUDAOnACPUBuild puts provider files beside a main library that cannot
// load them.
func TestCUDAOnACPUBuild(t *testing.T) {
	cpu := open(t)
	skipOnCUDABuild(t, cpu)
	dir := t.TempDir()
	main := filepath.Join(dir, libraryName())
	if err := os.Symlink(cpu.Info().Library, main); err != nil {
		t.Fatal(err)
	}
	touch(t, filepath.Join(dir, providerFiles()[0]))
	compile(t, filepath.Join(dir, providerFiles()[1]), `const char *version(void) { return "\0" "`+cpu.Info().Version+`"; }`)
	err := probeCUDA(main, cpu.Info().Version, 0, []int{0})
	if err == nil || !strings.Contains(err.Error(), "is a CPU build") || err.Remedy != remedyCUDA {
		t.Errorf("error %v, want that it is a CPU build", err)
	}
}

// TestInspectRefusesAnotherCLibrary: programs of tests are built for glibc.
func TestInspectRefusesAnotherCLibrary(t *testing.T) {
	if cLibrary() != glibc {
		t.Skip("the test is built for another C library")
	}
	dir := t.TempDir()
	c := filepath.Join(dir, "libc.musl-x86_64.so.1")
	compile(t, c, "int musl(void) { return 1; }", "-nostdlib", "-Wl,-soname,libc.musl-x86_64.so.1")
	lib := library{path: filepath.Join(dir, libraryName())}
	compile(t, lib.path, "int musl(void); int use(void) { return musl(); }", "-nostdlib", c)
	err := lib.inspect()
	if err == nil || !strings.Contains(err.Error(), "systems with musl") || !strings.Contains(err.Error(), "built for one with glibc") {
		t.Errorf("error %v, want that it is for musl", err)
	}
}

func TestInspectRefusesAnotherProcessor(t *testing.T) {
	info := open(t).Info()
	data, err := os.ReadFile(info.Library)
	if err != nil {
		t.Fatal(err)
	}
	data[18], data[19] = 2, 0 // e_machine: SPARC
	path := filepath.Join(t.TempDir(), libraryName())
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	lib := library{path: path}
	if err := lib.inspect(); err == nil || !strings.Contains(err.Error(), "EM_SPARC") {
		t.Errorf("error %v, want that it is for another processor", err)
	}
}
