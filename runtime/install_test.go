package runtime

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"ebm/internal/files"
	"ebm/models/tensor"
)

// realLibrary returns the main library's content and version.
func realLibrary(t *testing.T) (content, version string) {
	t.Helper()
	r, err := Open(t.Context(), Config{Provider: CPU})
	if err != nil {
		t.Fatal(err)
	}
	info := r.Info()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(info.Library)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), info.Version
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestInstallAndOpen installs from each kind of archive, opens what it has
// installed and runs a model.
func TestInstallAndOpen(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	content, version := realLibrary(t)
	cache := emptySearch(t)
	system := map[string]string{"linux": "linux", "darwin": "darwin", "windows": "win32"}[goruntime.GOOS]
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[goruntime.GOARCH]
	if system == "" || arch == "" {
		t.Skip("no packages for this machine")
	}
	name := strings.Replace(versionedPattern(), "*", version, 1)
	for kind, path := range map[string]string{
		"wheel": write(t, "a.whl", zipOf(t, entry{"onnxruntime/capi/" + name, content, 0}, entry{"onnxruntime/LICENSE", "text", 0})),
		"npm": write(t, "b.tgz", tarOf(t, entry{"package/bin/napi-v6/" + system + "/" + arch + "/" + name, content, 0},
			entry{"package/LICENSE", "text", 0})),
		"release": write(t, "c.tgz", tarOf(t, entry{"onnxruntime-x-1/lib/" + name, content, 0}, entry{"onnxruntime-x-1/LICENSE", "text", 0})),
	} {
		var lines []string
		got, err := Install(t.Context(), InstallOptions{Files: []string{path}, Log: func(line string) { lines = append(lines, line) }})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		dir := filepath.Join(cache, version+"-cpu")
		if want := (Installed{dir, filepath.Join(dir, libraryName()), version, CPU}); got != want {
			t.Errorf("%s: installed %+v, want %+v", kind, got, want)
		}
		if got := listing(t, dir); !slices.Equal(got, []string{"LICENSE", libraryName()}) {
			t.Errorf("%s: folder holds %v", kind, got)
		}
		if got := listing(t, cache); len(got) != 1 {
			t.Errorf("%s: cache holds %v", kind, got)
		}
		if len(lines) != 1 || !strings.Contains(lines[0], "not a known file") {
			t.Errorf("%s: logged %q", kind, lines)
		}
	}
	r, err := Open(t.Context(), Config{Provider: CPU})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Info().Source != FromUserCache || r.Info().Version != version {
		t.Errorf("opened %+v", r.Info())
	}
	s, err := r.Load(affine(t), SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := s.Run(t.Context(), tensors{"x": tensor.New(tensor.Float32, 1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	wantData[float32](t, out["y"], "[1 3]", 10, 20, 30)
}

// TestInstallCUDA has providers beside the main library, which can be another
// file's.
func TestInstallCUDA(t *testing.T) {
	if goruntime.GOOS != "linux" || goruntime.GOARCH != "amd64" && goruntime.GOARCH != "arm64" {
		t.Skip("the fake packages are for Linux")
	}
	content, version := realLibrary(t)
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[goruntime.GOARCH]
	providers := func(version string) []byte {
		at := "package/Plugins/Linux/" + arch + "/"
		return tarOf(t, entry{at + providerFiles()[0], "shared", 0}, entry{at + providerFiles()[1], "\x00" + version + "\x00", 0})
	}
	main := write(t, "main.whl", zipOf(t, entry{"onnxruntime/capi/libonnxruntime.so.1", content, 0}))
	same, other := write(t, "same.tgz", providers(version)), write(t, "other.tgz", providers("1.99.0"))

	root := t.TempDir()
	refuse := func(provider Provider, files []string, words ...string) {
		t.Helper()
		_, err := Install(t.Context(), InstallOptions{Files: files, Provider: provider, Dir: root})
		if err == nil {
			t.Error("installed")
			return
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("error %v, want %q in it", err, word)
			}
		}
	}
	refuse(Auto, []string{same}, version, "not the main library", same)
	refuse(CUDA, []string{main}, "no CUDA provider", main)
	refuse(CUDA, []string{main, other}, "1.99.0", version)
	refuse("tpu", []string{main}, "tpu")
	if got := listing(t, root); len(got) != 0 {
		t.Errorf("failed installations left %v", got)
	}
	// The process uses a library here, so that the main library, a CPU build,
	// is not tried.
	open(t)
	got, err := Install(t.Context(), InstallOptions{Files: []string{same, main}, Dir: root})
	if err != nil || got.Provider != CUDA || got.Version != version {
		t.Fatalf("installed %+v, %v", got, err)
	}
	want := []string{"libonnxruntime.so", "libonnxruntime_providers_cuda.so", "libonnxruntime_providers_shared.so"}
	if got := listing(t, got.Dir); !slices.Equal(got, want) {
		t.Errorf("folder holds %v, want %v", got, want)
	}
	got, err = Install(t.Context(), InstallOptions{Files: []string{same, main}, Dir: root, Provider: CPU})
	if err != nil || got.Provider != CPU {
		t.Fatalf("installed %+v, %v", got, err)
	}
	if got := listing(t, got.Dir); !slices.Equal(got, want[:1]) {
		t.Errorf("folder holds %v, want %v", got, want[:1])
	}
}

// TestInstallWebGPU has the plugin in a file beside the main library's.
func TestInstallWebGPU(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	content, version := realLibrary(t)
	at := "onnxruntime_ep_webgpu/" + webgpuFiles()[0]
	plugin := write(t, "plugin.whl", zipOf(t, entry{at, "plugin", 0},
		entry{"onnxruntime_ep_webgpu-0.4.0.dist-info/licenses/LICENSE", "its own", 0}))
	main := write(t, "main.whl", zipOf(t, entry{"onnxruntime/capi/" + strings.Replace(versionedPattern(), "*", version, 1), content, 0},
		entry{"onnxruntime/LICENSE", "text", 0}))
	root := t.TempDir()
	for _, c := range []struct {
		files []string
		want  string
	}{{[]string{plugin}, "not the main library"}, {[]string{main}, "no WebGPU plugin"}} {
		_, err := Install(t.Context(), InstallOptions{Files: c.files, Provider: WebGPU, Dir: root})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q", c.files, err, c.want)
		}
	}
	for _, provider := range []Provider{WebGPU, Auto} {
		got, err := Install(t.Context(), InstallOptions{Files: []string{plugin, main}, Provider: provider, Dir: root})
		if err != nil || got.Provider != WebGPU || got.Version != version {
			t.Fatalf("installed %+v, %v", got, err)
		}
		want := []string{"LICENSE", "WebGPU-LICENSE", libraryName(), webgpuFiles()[0]}
		slices.Sort(want)
		if files := listing(t, got.Dir); !slices.Equal(files, want) {
			t.Errorf("folder holds %v, want %v", files, want)
		}
	}
	if builds, err := InstalledBuilds(root); err != nil || len(builds) != 1 || builds[0].Provider != WebGPU {
		t.Errorf("builds %+v, %v", builds, err)
	}
	got, err := Install(t.Context(), InstallOptions{Files: []string{plugin, main}, Provider: CPU, Dir: root})
	if err != nil || got.Provider != CPU {
		t.Fatalf("installed %+v, %v", got, err)
	}
	if _, ok := webgpuPlugin(got.Library); ok {
		t.Error("the plugin is in a CPU build")
	}
}

func TestInstallTriesTheMainLibraryOfCUDA(t *testing.T) {
	content, version := realLibrary(t)
	r, err := Open(t.Context(), Config{Provider: CPU})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	skipOnCUDABuild(t, r)
	dir := t.TempDir()
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, libraryName()), []byte(content), 0o777),
		os.WriteFile(filepath.Join(dir, providerFiles()[1]), []byte("\x00"+version+"\x00"), 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := checkUnpacked(dir, CUDA, []string{"a"}); err == nil || !strings.Contains(err.Error(), "CPU build") {
		t.Errorf("error %v, want that the main library is a CPU build", err)
	}
}

func TestInstallRefusesWithoutALibrary(t *testing.T) {
	root := t.TempDir()
	for name, data := range map[string][]byte{
		"empty":   zipOf(t),
		"text":    []byte("this is no archive"),
		"content": zipOf(t, entry{"onnxruntime/capi/" + strings.Replace(versionedPattern(), "*", "1", 1), "no library", 0}),
	} {
		path := write(t, name, data)
		if _, err := Install(t.Context(), InstallOptions{Files: []string{path}, Dir: root}); err == nil {
			t.Errorf("%s: installed", name)
		}
	}
	if _, err := Install(t.Context(), InstallOptions{Files: []string{"none.whl"}, Dir: root}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Install(ctx, InstallOptions{Files: []string{write(t, "a", zipOf(t))}, Dir: root}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if got := listing(t, root); len(got) != 0 {
		t.Errorf("failed installations left %v", got)
	}
}

func TestInstallComparesWithKnownFiles(t *testing.T) {
	known := knownBuilds()[0].parts[0]
	path := write(t, known.file(), zipOf(t))
	_, err := Install(t.Context(), InstallOptions{Files: []string{path}, Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), known.sha256) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want the file and the SHA-256 it should have", err)
	}
}

func TestKnownBuilds(t *testing.T) {
	for _, b := range knownBuilds() {
		if compareVersions(b.version, minVersion) < 0 || !slices.Contains([]Provider{CPU, CUDA, WebGPU}, b.provider) {
			t.Errorf("build %+v", b)
		}
		for _, p := range b.parts {
			if len(p.sha256) != 64 || (p.client == "pip") != (p.tag != "") {
				t.Errorf("part %+v", p)
			}
		}
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/arm64", "windows/amd64"} {
		for _, provider := range []Provider{CPU, WebGPU} {
			if _, err := selectBuilds(knownBuilds(), provider, "", platform); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := selectBuilds(knownBuilds(), CPU, "1.2.3", "linux/amd64")
	if err == nil || !strings.Contains(err.Error(), "1.2.3") || !strings.Contains(err.Error(), "1.32.0") {
		t.Errorf("unknown version: %v", err)
	}
	if _, err := selectBuilds(knownBuilds(), CUDA, "", "darwin/arm64"); err == nil {
		t.Error("a CUDA build for macOS")
	}
}

// TestInstallFetches has a pip that only copies a file, and no npm.
func TestInstallFetches(t *testing.T) {
	if goruntime.GOOS == "windows" {
		t.Skip("the client is a shell script")
	}
	content, version := realLibrary(t)
	wheel := zipOf(t, entry{"onnxruntime/capi/" + strings.Replace(versionedPattern(), "*", version, 1), content, 0})
	served := write(t, "served", wheel)
	platform := goruntime.GOOS + "/" + goruntime.GOARCH
	good := part{"pip", "onnxruntime", version, "any", fmt.Sprintf("%x", sha256.Sum256(wheel))}
	bad := good
	bad.sha256 = strings.Repeat("0", 64)
	bin := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
[ "$1" = --version ] && exit 0
for a; do last=$a; [ "$before" = --dest ] && dest=$a; before=$a; done
[ "$last" = onnxruntime==%s ] || { echo "no such version: $last" >&2; exit 1; }
/bin/cp %s "$dest/%s"
`, version, served, good.file())
	if err := os.WriteFile(filepath.Join(bin, "pip3"), []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	root := t.TempDir()
	node := part{"npm", "onnxruntime-node", version, "", good.sha256}
	builds := func(parts ...part) []build { return []build{{CPU, version, platform, parts}} }

	got, err := install(t.Context(), InstallOptions{Dir: root}, append(builds(node), builds(good)...))
	if err != nil || got.Version != version || !files.IsRegular(got.Library) {
		t.Errorf("installed %+v, %v", got, err)
	}
	_, err = install(t.Context(), InstallOptions{Dir: root}, builds(bad))
	if err == nil || !strings.Contains(err.Error(), bad.sha256) || !strings.Contains(err.Error(), good.sha256) {
		t.Errorf("another content: error %v, want both SHA-256", err)
	}
	_, err = install(t.Context(), InstallOptions{Dir: root}, builds(node))
	if err == nil || !strings.Contains(err.Error(), "no npm on the PATH") || !strings.Contains(err.Error(), "onnxruntime-node@"+version) {
		t.Errorf("no client: %v", err)
	}
	other := good
	other.version = "9.9.9"
	_, err = install(t.Context(), InstallOptions{Dir: root}, builds(other))
	if err == nil || !strings.Contains(err.Error(), "no such version: onnxruntime==9.9.9") {
		t.Errorf("failing client: %v", err)
	}
	if got := listing(t, root); !slices.Equal(got, []string{version + "-cpu"}) {
		t.Errorf("cache holds %v", got)
	}
}
