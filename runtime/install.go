package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
)

// InstallOptions says what Install puts into the user cache.
type InstallOptions struct {
	// Files are archives that the user has: a release archive of ONNX Runtime
	// (.tgz, .zip), a PyPI wheel (onnxruntime, onnxruntime-gpu, onnxruntime-ep-webgpu) or an npm
	// tarball (onnxruntime-node, com.github.asus4.onnxruntime.linux-x64-gpu).
	// An archive of providers alone needs a second one of the same version
	// that has the main library. Without files, a known build is fetched
	// through the pip or npm client.
	Files []string
	// Provider is the kind of build. CPU leaves out the providers that a file
	// holds; CUDA and WebGPU ask for one of them; Auto takes what is there, and fetches
	// a CPU build.
	Provider Provider
	// Version is the build to fetch; "" is the newest that is known.
	Version string
	// Dir is the folder to install under, in place of the user cache.
	Dir string
	// Log, when not nil, gets a line for every step that takes a while.
	Log func(line string)
}

// Installed describes an installed build.
type Installed struct {
	Dir      string   `json:"dir"`      // its folder
	Library  string   `json:"library"`  // the main library's file
	Version  string   `json:"version"`  // ONNX Runtime's version
	Provider Provider `json:"provider"` // CPU, CUDA or WebGPU
}

// InstalledBuilds lists the builds that Install has put into the user cache, or
// into dir where that is not "".
func InstalledBuilds(dir string) ([]Installed, error) {
	dir, err := InstallOptions{Dir: dir}.root()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var list []Installed
	for _, e := range entries {
		version, provider, ok := strings.Cut(e.Name(), "-")
		if !ok || !isVersion(version) || !slices.Contains([]Provider{CPU, CUDA, WebGPU}, Provider(provider)) {
			continue
		}
		i := Installed{Dir: filepath.Join(dir, e.Name()), Version: version, Provider: Provider(provider)}
		i.Library = filepath.Join(i.Dir, libraryName())
		list = append(list, i)
	}
	return list, nil
}

// Uninstall removes a build that InstalledBuilds lists. It is moved aside
// first, so that half a build is never found.
func Uninstall(i Installed) error {
	aside, err := os.MkdirTemp(filepath.Dir(i.Dir), ".unpack-*")
	if err != nil {
		return err
	}
	return errors.Join(os.Rename(i.Dir, filepath.Join(aside, "removed")), os.RemoveAll(aside))
}

// Wanted says which package Install would fetch without files, and the folder
// that the build would get, which is replaced if it is there.
func Wanted(opts InstallOptions) (what, dir string, err error) {
	if opts.Provider == Auto {
		opts.Provider = CPU
	}
	selected, err := selectBuilds(knownBuilds(), opts.Provider, opts.Version, goruntime.GOOS+"/"+goruntime.GOARCH)
	if err != nil {
		return "", "", err
	}
	if dir, err = opts.root(); err != nil {
		return "", "", err
	}
	b := selected[0]
	var parts []string
	for _, p := range b.parts {
		parts = append(parts, fmt.Sprint(p))
	}
	return strings.Join(parts, " and "), filepath.Join(dir, b.version+"-"+string(b.provider)), nil
}

// Install puts a build of ONNX Runtime into the user cache, where Open finds
// it, in a folder of its own for every version and provider. Only the
// libraries and licences are taken from an archive. The folder appears as a
// whole, after the library was found to be for this machine, new enough, of
// one version with its providers, and (unless the process uses one already) to
// load; a build of the same version and provider is replaced.
func Install(ctx context.Context, opts InstallOptions) (Installed, error) {
	installed, err := install(ctx, opts, knownBuilds())
	if err != nil {
		return Installed{}, fmt.Errorf("install onnx runtime: %w", err)
	}
	return installed, nil
}

func install(ctx context.Context, opts InstallOptions, builds []build) (Installed, error) {
	provider, err := ParseProvider(string(opts.Provider))
	if err != nil {
		return Installed{}, err
	}
	root, staging, err := opts.begin()
	if err != nil {
		return Installed{}, err
	}
	defer os.RemoveAll(staging)
	files, err := archives(ctx, opts, provider, builds, staging)
	if err != nil {
		return Installed{}, err
	}
	unpacked := filepath.Join(staging, "unpacked")
	if err := os.Mkdir(unpacked, 0o777); err != nil {
		return Installed{}, err
	}
	l, err := layoutFor(goruntime.GOOS, goruntime.GOARCH)
	if err != nil {
		return Installed{}, err
	}
	for _, path := range files {
		if err := unpackPackage(ctx, path, unpacked, l); err != nil {
			return Installed{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	installed, err := checkUnpacked(unpacked, provider, files)
	if err != nil {
		return Installed{}, err
	}
	installed.Dir = filepath.Join(root, installed.Version+"-"+string(installed.Provider))
	installed.Library = filepath.Join(installed.Dir, libraryName())
	return installed, atomicfile.Dir(installed.Dir, func(tmp string) error { return moveAll(unpacked, tmp) })
}

// archives are the files to unpack: the user's, whose names and SHA-256 are
// compared with the known ones, or fetched ones.
func archives(ctx context.Context, opts InstallOptions, provider Provider, builds []build, staging string) ([]string, error) {
	if len(opts.Files) > 0 {
		for _, path := range opts.Files {
			sum, err := fileSHA256(ctx, path)
			if err != nil {
				return nil, err
			}
			if err := compareKnown(path, sum, builds, opts.Log); err != nil {
				return nil, err
			}
		}
		return opts.Files, nil
	}
	if provider == Auto {
		provider = CPU
	}
	selected, err := selectBuilds(builds, provider, opts.Version, goruntime.GOOS+"/"+goruntime.GOARCH)
	if err != nil {
		return nil, err
	}
	files, err := fetch(ctx, selected, staging, opts.Log)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w\nget one of these packages in another way, and give its file", err)
	}
	return files, err
}

// compareKnown refuses a file that has the name of a known one and other
// content.
func compareKnown(path, sum string, builds []build, log func(string)) error {
	for _, b := range builds {
		for _, p := range b.parts {
			switch {
			case p.sha256 == sum:
				log(fmt.Sprintf("%s is %v, as published", path, p))
				return nil
			case p.file() == filepath.Base(path):
				return fmt.Errorf("%s has SHA-256 %s, want %s: it is damaged, or not what its name says", path, sum, p.sha256)
			}
		}
	}
	log(fmt.Sprintf("%s is not a known file, its SHA-256 is %s", path, sum))
	return nil
}

func fileSHA256(ctx context.Context, path string) (string, error) {
	return files.Read(path, func(r io.Reader) (string, error) {
		h := sha256.New()
		_, err := io.Copy(h, files.Cancelled{Context: ctx, Reader: r})
		return hex.EncodeToString(h.Sum(nil)), err
	})
}

// begin makes the folder to install under, and in it an empty one that the caller removes.
func (o *InstallOptions) begin() (root, staging string, err error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if root, err = o.root(); err == nil {
		err = os.MkdirAll(root, 0o777)
	}
	if err == nil {
		staging, err = os.MkdirTemp(root, ".unpack-*")
	}
	return root, staging, err
}

// root returns the folder to install under.
func (o InstallOptions) root() (string, error) {
	if o.Dir != "" {
		return o.Dir, nil
	}
	return cacheRoot()
}

// unpackPackage unpacks the files of a package that l takes.
func unpackPackage(ctx context.Context, path, dir string, l layout) error {
	f, err := files.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return unpack(ctx, f, info.Size(), dir, l)
}

// checkUnpacked looks at what came out of the archives in dir, and removes the
// providers where only a CPU build is wanted.
func checkUnpacked(dir string, want Provider, archives []string) (Installed, error) {
	from := strings.Join(archives, " and ")
	cuda := providerFiles()
	hasCUDA, hasWebGPU := files.IsRegular(filepath.Join(dir, cuda[1])), files.IsRegular(filepath.Join(dir, webgpuFiles()[0]))
	main := filepath.Join(dir, libraryName())
	switch {
	case !files.IsRegular(main) && hasCUDA:
		versions, err := embeddedVersions(filepath.Join(dir, cuda[1]))
		if err != nil {
			return Installed{}, err
		}
		return Installed{}, fmt.Errorf("%s holds the CUDA provider of ONNX Runtime %s, but not the main library: give a second file that has "+
			"it, of the same version, such as onnxruntime-node's",
			from, strings.Join(versions, " or "))
	case !files.IsRegular(main) && hasWebGPU:
		return Installed{}, fmt.Errorf("%s holds the WebGPU plugin, but not the main library: give a second file that has it, such as "+
			"onnxruntime's wheel", from)
	case !files.IsRegular(main):
		return Installed{}, fmt.Errorf("%s holds no ONNX Runtime library for %s/%s", from, goruntime.GOOS, goruntime.GOARCH)
	case want == CUDA && !hasCUDA:
		return Installed{}, fmt.Errorf("%s holds no CUDA provider (%s)", from, cuda[1])
	case want == WebGPU && !hasWebGPU:
		return Installed{}, fmt.Errorf("%s holds no WebGPU plugin (%s)", from, webgpuFiles()[0])
	}
	result := Installed{Provider: CPU}
	var unwanted []string
	if hasCUDA && (want == CUDA || want == Auto) {
		result.Provider = CUDA
	} else {
		unwanted = append(unwanted, cuda...)
	}
	if hasWebGPU && (want == WebGPU || want == Auto && !hasCUDA) {
		result.Provider = WebGPU
	} else {
		unwanted = append(unwanted, webgpuFiles()...)
	}
	if err := removeAll(dir, unwanted); err != nil {
		return Installed{}, err
	}
	lib := library{path: main}
	if err := lib.inspect(); err != nil {
		return Installed{}, err
	}
	if lib.version == "" {
		return Installed{}, fmt.Errorf("%s: the library does not tell its version", from)
	}
	result.Version = lib.version
	if result.Provider == CUDA {
		if wrong := checkCUDAVersions(main, lib.version); wrong != nil {
			return Installed{}, wrong
		}
	}
	return result, tryLoading(lib, result.Provider)
}

// tryLoading loads the library and unloads it again, when the process has none
// in use: only the loader knows whether the system's C library is new enough.
func tryLoading(lib library, provider Provider) error {
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.users > 0 {
		return nil
	}
	if err := lib.initialize(); err != nil {
		return err
	}
	var err error
	if provider == CUDA {
		options, cudaErr := ort.NewCUDAProviderOptions()
		if cudaErr == nil {
			options.Destroy()
		} else if strings.Contains(cudaErr.Error(), notEnabled) {
			err = errors.New("the main library is a CPU build, which cannot load the CUDA provider: give the file of one that can, such as " +
				"onnxruntime-node's")
		}
	}
	return errors.Join(err, ort.DestroyEnvironment())
}

func removeAll(dir string, names []string) error {
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func moveAll(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
