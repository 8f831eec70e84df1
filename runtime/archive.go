package runtime

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"

	"ebm/internal/files"
)

// Bounds of what is taken from an archive: the largest file known (a CUDA
// provider) has 0.3 GB, and all of a tarball is read to find its files. Deflate
// makes nothing smaller than a 1032nd, so that a file which unpacks to more is
// made to fill the disk (a sparse file in a tarball, for one).
const (
	maxUnpackedFile = 2 << 30
	maxUnpackedAll  = 8 << 30
	maxRatio        = 1032
)

// layout says which files of an archive are taken, and under which names.
type layout struct {
	folders *regexp.Regexp // where they lie, in any of the known packages
	names   []layoutName
}

type layoutName struct {
	pattern *regexp.Regexp
	as      string
}

// licences lie at the top of every package.
var licence = regexp.MustCompile(`^(?:onnxruntime|package|onnxruntime-[^/]+)/(LICENSE|ThirdPartyNotices\.txt)$`)

// pluginLicence are those of a plugin's wheel, which go beside the main library's.
var pluginLicence = regexp.MustCompile(`^onnxruntime_ep_webgpu-[^/]+\.dist-info/licenses/(LICENSE|ThirdPartyNotices\.txt)$`)

// layoutFor knows the packages that carry ONNX Runtime: PyPI wheels
// (onnxruntime/capi, onnxruntime_ep_webgpu), release archives (NAME/lib), npm's onnxruntime-node
// (package/bin/napi-v6/OS/ARCH) and its packages of GPU providers
// (package/Plugins/OS/ARCH).
func layoutFor(goos, goarch string) (layout, error) {
	system := map[string][2]string{"linux": {"linux", "Linux"}, "darwin": {"darwin", "macOS"}, "windows": {"win32", "Windows"}}[goos]
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[goarch]
	if system[0] == "" || arch == "" {
		return layout{}, fmt.Errorf("no package of ONNX Runtime is known for %s/%s", goos, goarch)
	}
	l := layout{folders: regexp.MustCompile(fmt.Sprintf(
		`^(?:onnxruntime/capi|onnxruntime_ep_webgpu|onnxruntime-[^/]+/lib|package/bin/napi-v[0-9]+/%s/%s|package/Plugins/%s/%s)$`,
		system[0], arch, system[1], arch))}
	add := func(pattern, as string) {
		l.names = append(l.names, layoutName{regexp.MustCompile(pattern), as})
	}
	switch goos {
	case "linux":
		add(`^libonnxruntime\.so(?:\.[0-9]+)*$`, "libonnxruntime.so")
		add(`^libonnxruntime_providers_shared\.so$`, "libonnxruntime_providers_shared.so")
		add(`^libonnxruntime_providers_cuda\.so$`, "libonnxruntime_providers_cuda.so")
	case "darwin":
		add(`^libonnxruntime(?:\.[0-9]+)*\.dylib$`, "libonnxruntime.dylib")
	case "windows":
		add(`^onnxruntime\.dll$`, "onnxruntime.dll")
		add(`^onnxruntime_providers_shared\.dll$`, "onnxruntime_providers_shared.dll")
		add(`^onnxruntime_providers_cuda\.dll$`, "onnxruntime_providers_cuda.dll")
	}
	for _, name := range webgpuFilesOf(goos) {
		add("^"+regexp.QuoteMeta(name)+"$", name)
	}
	return l, nil
}

// take returns the name under which the archive's entry is unpacked, which is
// one of a fixed few and never the entry's own path.
func (l layout) take(entry string) (as string, ok bool) {
	if m := licence.FindStringSubmatch(entry); m != nil {
		return m[1], true
	}
	if m := pluginLicence.FindStringSubmatch(entry); m != nil {
		return "WebGPU-" + m[1], true
	}
	if !l.folders.MatchString(path.Dir(entry)) {
		return "", false
	}
	for _, n := range l.names {
		if n.pattern.MatchString(path.Base(entry)) {
			return n.as, true
		}
	}
	return "", false
}

// unpack writes the files that l takes from the archive (a zip or a gzipped
// tar, told apart by their first bytes) into dir. A file that is in dir
// already is kept. Links and folders are passed over.
func unpack(ctx context.Context, archive io.ReaderAt, size int64, dir string, l layout) error {
	magic := make([]byte, 4)
	if _, err := archive.ReadAt(magic, 0); err != nil {
		return fmt.Errorf("not an archive: it has %d bytes", size)
	}
	limit := min(maxUnpackedFile, maxRatio*size)
	switch {
	case bytes.Equal(magic, []byte("PK\x03\x04")):
		return unpackZip(ctx, archive, size, dir, l, limit)
	case magic[0] == 0x1f && magic[1] == 0x8b:
		return unpackTar(ctx, io.NewSectionReader(archive, 0, size), dir, l, limit)
	}
	return errors.New("neither a zip archive or wheel nor a gzipped tar archive")
}

func unpackZip(ctx context.Context, archive io.ReaderAt, size int64, dir string, l layout, limit int64) error {
	r, err := zip.NewReader(archive, size)
	if err != nil {
		return fmt.Errorf("read zip archive: %w", err)
	}
	for _, f := range r.File {
		as, ok := l.take(f.Name)
		if !ok || !f.Mode().IsRegular() {
			continue
		}
		content, err := f.Open()
		if err != nil {
			return fmt.Errorf("read %s: %w", f.Name, err)
		}
		err = unpackFile(ctx, content, filepath.Join(dir, as), limit)
		content.Close()
		if err != nil {
			return fmt.Errorf("unpack %s: %w", f.Name, err)
		}
	}
	return nil
}

func unpackTar(ctx context.Context, archive io.Reader, dir string, l layout, limit int64) error {
	z, err := gzip.NewReader(archive)
	if err != nil {
		return fmt.Errorf("read gzip archive: %w", err)
	}
	defer z.Close()
	all := &io.LimitedReader{R: files.Cancelled{Context: ctx, Reader: z}, N: maxUnpackedAll}
	r := tar.NewReader(all)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if all.N <= 0 {
			return fmt.Errorf("tar archive unpacks to more than %d bytes", int64(maxUnpackedAll))
		}
		if err != nil {
			return fmt.Errorf("read tar archive: %w", err)
		}
		as, ok := l.take(h.Name)
		if !ok || h.Typeflag != tar.TypeReg {
			continue
		}
		if err := unpackFile(ctx, r, filepath.Join(dir, as), limit); err != nil {
			return fmt.Errorf("unpack %s: %w", h.Name, err)
		}
	}
}

// unpackFile writes a new file of at most limit bytes at path; one that is
// there is kept.
func unpackFile(ctx context.Context, content io.Reader, path string, limit int64) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err := io.Copy(f, io.LimitReader(files.Cancelled{Context: ctx, Reader: content}, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("larger than %d bytes", limit)
	}
	return err
}
