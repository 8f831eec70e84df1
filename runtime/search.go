package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"

	"ebm/internal/files"
	"ebm/internal/modcache"
)

// libraryVariable is the environment variable that names the library.
const libraryVariable = "EBM_ORT_LIBRARY"

const remedyInstall = "put a newer or whole one in the user cache with `ebm runtime install`, or name its file with --ort-library or " +
	libraryVariable

// library is a shared library that the search found.
type library struct {
	path    string
	source  Source
	version string // "" while unknown
}

// pinnedModule is a Go module that carries ONNX Runtime's library for one
// operating system: the modules of pinned.go, at go.mod's version and with
// go.sum's checksum.
type pinnedModule struct{ path, version, sum string }

func pinned(goos string) (pinnedModule, bool) {
	const path, version = "github.com/k2-fsa/sherpa-onnx-go-", "v1.13.8"
	sum, ok := map[string]string{
		"linux":  "h1:33xcR9pYuD/VZ2luCWP1PJ4uLLeYM0i5GWGgM1lZjP8=",
		"darwin": "h1:TQFOntGvoH+L+9HpmKukq6cDag674W7YQr3680KK0Q8=", "windows": "h1:PjALQ7qHH6wmGyVeHMhGESh+EAtC/24rzZIth4PXcEs=",
	}[goos]
	name := goos
	if goos == "darwin" {
		name = "macos"
	}
	return pinnedModule{path + name, version, sum}, ok
}

// pinnedFile is the library's place inside the pinned module.
func pinnedFile(goos, goarch string) (string, bool) {
	folder, ok := map[string]string{
		"linux/amd64": "x86_64-unknown-linux-gnu/libonnxruntime.so", "linux/arm64": "aarch64-unknown-linux-gnu/libonnxruntime.so",
		"linux/arm":    "arm-unknown-linux-gnueabihf/libonnxruntime.so",
		"darwin/amd64": "x86_64-apple-darwin/libonnxruntime.dylib", "darwin/arm64": "aarch64-apple-darwin/libonnxruntime.dylib",
		"windows/amd64": "x86_64-pc-windows-gnu/onnxruntime.dll", "windows/arm64": "aarch64-pc-windows-gnu/onnxruntime.dll",
		"windows/386": "i686-pc-windows-gnu/onnxruntime.dll",
	}[goos+"/"+goarch]
	return filepath.Join("lib", filepath.FromSlash(folder)), ok
}

// Locate says which library Open would take, and its version where the file
// tells it. It neither loads the library nor fetches one that is not there.
func Locate(ctx context.Context, cfg Config) (Info, error) {
	cfg.local = true
	lib, err := findLibrary(ctx, cfg)
	if err == nil {
		err = lib.inspect()
	}
	return Info{Library: lib.path, Source: lib.source, Version: lib.version}, err
}

// findLibrary goes through the steps of the search. A library that the user
// named must be there; the other steps are passed over when they have none.
func findLibrary(ctx context.Context, cfg Config) (library, error) {
	if cfg.Library != "" {
		return named(cfg.Library, FromConfig)
	}
	if path := os.Getenv(libraryVariable); path != "" {
		return named(path, FromEnvironment)
	}
	if folder, ok := programFolder(); ok {
		if path, ok := inFolder(folder); ok {
			return library{path: path, source: FromProgram}, nil
		}
	}
	if lib, ok := inUserCache(cfg.Provider); ok {
		return lib, nil
	}
	return inModuleCache(ctx, cfg)
}

// programFolder returns the folder that the program's file is in. Linux says where
// that is in /proc, which a container need not have: what the program was started
// by is looked up as a shell does then.
func programFolder() (string, bool) {
	program, err := os.Executable()
	if err != nil {
		if program, err = exec.LookPath(os.Args[0]); err != nil {
			return "", false
		}
		if program, err = filepath.Abs(program); err != nil {
			return "", false
		}
	}
	if resolved, err := filepath.EvalSymlinks(program); err == nil {
		program = resolved
	}
	return filepath.Dir(program), true
}

// named is the library at path, a file or a folder.
func named(path string, source Source) (library, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return library{}, &LibraryError{Path: path, Source: source, Problem: "no usable path", Err: err}
	}
	info, err := os.Stat(absolute)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return library{}, &LibraryError{Path: path, Source: source, Problem: "no such file or folder",
			Remedy: "correct the path, or name none to search for the library"}
	case err != nil:
		return library{}, &LibraryError{Path: path, Source: source, Problem: "cannot be read", Err: err,
			Remedy: "correct the path or its permissions"}
	case !info.IsDir():
		return library{path: absolute, source: source}, nil
	}
	file, ok := inFolder(absolute)
	if !ok {
		return library{}, &LibraryError{Path: path, Source: source, Problem: "the folder holds no " + libraryName(),
			Remedy: "name the library's file itself"}
	}
	return library{path: file, source: source}, nil
}

// libraryName is what the library's file is called here, before any version.
func libraryName() string {
	switch goruntime.GOOS {
	case "windows":
		return "onnxruntime.dll"
	case "darwin":
		return "libonnxruntime.dylib"
	}
	return "libonnxruntime.so"
}

// inFolder looks for the library in dir, or in lib under it: the plain name
// first, then the highest version in a file's name.
func inFolder(dir string) (string, bool) {
	for _, folder := range []string{dir, filepath.Join(dir, "lib")} {
		plain := filepath.Join(folder, libraryName())
		if files.IsRegular(plain) {
			return plain, true
		}
		versioned, err := filepath.Glob(filepath.Join(files.Literal(folder), versionedPattern()))
		if err != nil {
			continue
		}
		versioned = slices.DeleteFunc(versioned, func(path string) bool { return !files.IsRegular(path) })
		if len(versioned) > 0 {
			return slices.MaxFunc(versioned, func(a, b string) int {
				return compareVersions(filepath.Base(a), filepath.Base(b))
			}), true
		}
	}
	return "", false
}

// versionedPattern matches libonnxruntime.so.1.32.0 or libonnxruntime.1.32.0.dylib.
func versionedPattern() string {
	switch goruntime.GOOS {
	case "windows":
		return "onnxruntime.dll"
	case "darwin":
		return "libonnxruntime.*.dylib"
	}
	return "libonnxruntime.so.*"
}

// cacheRoot is the folder of the user cache that holds installed libraries,
// one folder for every version and provider.
func cacheRoot() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user cache: %w", err)
	}
	return filepath.Join(dir, "ebm", "onnxruntime"), nil
}

// inUserCache returns the newest installed library that is of the provider's
// kind, or else the newest of another kind. Auto takes the kind of a device first.
func inUserCache(provider Provider) (library, bool) {
	root, err := cacheRoot()
	if err != nil {
		return library{}, false
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return library{}, false
	}
	kinds := []Provider{CUDA, WebGPU, CPU}
	if !hasDevice() {
		kinds = []Provider{WebGPU, CUDA, CPU}
	}
	if i := slices.Index(kinds, provider); i > 0 {
		kinds = slices.Insert(slices.Delete(kinds, i, i+1), 0, provider)
	}
	for _, kind := range kinds {
		var best library
		for _, e := range entries {
			version, ok := strings.CutSuffix(e.Name(), "-"+string(kind))
			if !ok || !isVersion(version) || best.path != "" && compareVersions(version, best.version) <= 0 {
				continue
			}
			if path, ok := inFolder(filepath.Join(root, e.Name())); ok {
				best = library{path: path, source: FromUserCache, version: version}
			}
		}
		if best.path != "" {
			return best, true
		}
	}
	return library{}, false
}

// inModuleCache returns the library of the pinned module, which is fetched
// when it is not there.
func inModuleCache(ctx context.Context, cfg Config) (library, error) {
	module, ok := pinned(goruntime.GOOS)
	file, known := pinnedFile(goruntime.GOOS, goruntime.GOARCH)
	if !ok || !known {
		return library{}, &LibraryError{Source: FromModuleCache,
			Problem: fmt.Sprintf("no module carries one for %s/%s, and none was found elsewhere", goruntime.GOOS, goruntime.GOARCH),
			Remedy:  "name its file with --ort-library or " + libraryVariable}
	}
	find := modcache.Dir
	if cfg.local {
		find = modcache.Cached
	}
	dir, err := find(ctx, module.path, module.version, module.sum, func(line string) {
		cfg.log("%s, once (36 MB: ONNX Runtime's library)", line)
	})
	if err != nil {
		if ctx.Err() != nil {
			return library{}, fmt.Errorf("open onnx runtime: %w", ctx.Err())
		}
		root, _ := cacheRoot()
		return library{}, &LibraryError{Source: FromModuleCache, Err: err,
			Problem: fmt.Sprintf("found neither beside the program nor in %s nor in a Go module", root),
			Remedy:  "install one with `ebm runtime install FILE`, or name its file with --ort-library or " + libraryVariable}
	}
	path := filepath.Join(dir, file)
	if !files.IsRegular(path) {
		return library{}, &LibraryError{Path: path, Source: FromModuleCache, Problem: "the module lacks this file",
			Remedy: "fetch the module again: go clean -modcache removes what is there"}
	}
	return library{path: path, source: FromModuleCache}, nil
}
