package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"ebm/internal/atomicfile"
	"ebm/internal/files"
)

// webVersion is the version of onnxruntime-web that pages are made with.
const webVersion = "1.30.0"

// webBuild is onnxruntime-web as npm's client delivers it.
var webBuild = build{version: webVersion, platform: "web", parts: []part{
	{"npm", "onnxruntime-web", webVersion, "", "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"},
}}

// WebFiles are those of onnxruntime-web that a page of one file takes: the
// script and the module that compute in WebAssembly, and those that use the
// browser's GPU where they can.
func WebFiles() []string {
	return []string{"ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm", "ort.webgpu.bundle.min.mjs",
		"ort-wasm-simd-threaded.asyncify.wasm"}
}

// InstallWeb puts onnxruntime-web's files into the user cache, where WebFolder
// finds them, out of an npm tarball that the user has (opts.Files), or through
// the npm client by version and SHA-256. Nothing of the package is run. It
// returns their folder, which appears as a whole.
func InstallWeb(ctx context.Context, opts InstallOptions) (string, error) {
	dir, err := installWeb(ctx, opts)
	if err != nil {
		return "", fmt.Errorf("install onnxruntime-web: %w", err)
	}
	return dir, nil
}

func installWeb(ctx context.Context, opts InstallOptions) (string, error) {
	root, staging, err := opts.begin()
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(staging)
	files := opts.Files
	for _, path := range files {
		sum, err := fileSHA256(ctx, path)
		if err != nil {
			return "", err
		}
		if want := webBuild.parts[0]; sum != want.sha256 {
			return "", fmt.Errorf("%s has SHA-256 %s, want %s of %v", path, sum, want.sha256, want)
		}
	}
	if len(files) == 0 {
		if files, err = fetch(ctx, []build{webBuild}, staging, opts.Log); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(root, "web-"+webVersion)
	return dir, atomicfile.Dir(dir, func(tmp string) error {
		for _, path := range files {
			if err := unpackPackage(ctx, path, tmp, webLayout()); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		return missingWeb(tmp)
	})
}

// webLayout takes WebFiles from the package's dist.
func webLayout() layout {
	l := layout{folders: regexp.MustCompile(`^package/dist$`)}
	for _, name := range WebFiles() {
		l.names = append(l.names, layoutName{regexp.MustCompile("^" + regexp.QuoteMeta(name) + "$"), name})
	}
	return l
}

// missingWeb reports a file of onnxruntime-web that is not in dir.
func missingWeb(dir string) error {
	for _, name := range WebFiles() {
		if !files.IsRegular(filepath.Join(dir, name)) {
			return fmt.Errorf("%s: there is no %s in it", dir, name)
		}
	}
	return nil
}

// WebFolder returns the folder of onnxruntime-web's files, as InstallWeb made
// it.
func WebFolder() (string, error) {
	root, err := cacheRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "web-"+webVersion)
	if err := missingWeb(dir); err != nil {
		return "", errors.Join(ErrNoWeb, err)
	}
	return dir, nil
}

// ErrNoWeb says that onnxruntime-web is not in the user cache, and how it gets
// there.
var ErrNoWeb = errors.New("a page needs onnxruntime-web " + webVersion +
	": fetch it with `ebm runtime install --provider web` (through npm), or give its tarball to the same command")
