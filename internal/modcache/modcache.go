package modcache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Dir returns the folder that holds the unpacked files of the module at path
// and version, fetching them when the module cache lacks them. sum is the
// module's checksum as go.sum has it ("h1:…"). log, when not nil, gets one
// line before the go command is started, which may take a while.
//
// The folder belongs to the module cache and is read-only. Errors name the
// module; they arise when it is neither in the cache nor to be had through
// the go command, or when its checksum is another one.
func Dir(ctx context.Context, path, version, sum string, log func(string)) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if dir, ok := cached(path, version, sum); ok {
		return dir, nil
	}
	if log != nil {
		log(fmt.Sprintf("fetching module %s@%s with go mod download", path, version))
	}
	dir, err := download(ctx, path, version, sum)
	if err != nil {
		return "", fmt.Errorf("module %s@%s: %w", path, version, err)
	}
	return dir, nil
}

// Cached is Dir for a module that is there already: nothing is fetched.
func Cached(_ context.Context, path, version, sum string, _ func(string)) (string, error) {
	dir, ok := cached(path, version, sum)
	if !ok {
		return "", fmt.Errorf("module %s@%s is not in the module cache", path, version)
	}
	return dir, nil
}

// cached looks for the module in the cache folder that the environment
// implies. The go command writes the checksum beside the downloaded archive
// after checking it, and unpacks a module under a temporary name, so that both
// being there means a whole module.
func cached(path, version, sum string) (dir string, ok bool) {
	root, ok := cacheRoot()
	if !ok {
		return "", false
	}
	escaped, escapedVersion := escape(path), escape(version)
	hash, err := os.ReadFile(filepath.Join(root, "cache", "download",
		filepath.FromSlash(escaped), "@v", escapedVersion+".ziphash"))
	if err != nil || strings.TrimSpace(string(hash)) != sum {
		return "", false
	}
	// A ".partial" mark is left when unpacking was cut short.
	if _, err := os.Stat(filepath.Join(root, "cache", "download",
		filepath.FromSlash(escaped), "@v", escapedVersion+".partial")); err == nil {
		return "", false
	}
	dir = filepath.Join(root, filepath.FromSlash(escaped)+"@"+escapedVersion)
	info, err := os.Stat(dir)
	return dir, err == nil && info.IsDir()
}

// cacheRoot is GOMODCACHE, or else pkg/mod under the first folder of GOPATH,
// or else under ~/go. A value set by `go env -w` is not seen here; the go
// command finds it.
func cacheRoot() (string, bool) {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir, true
	}
	if list := filepath.SplitList(os.Getenv("GOPATH")); len(list) > 0 && list[0] != "" {
		return filepath.Join(list[0], "pkg", "mod"), true
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", false
	}
	return filepath.Join(home, "go", "pkg", "mod"), true
}

// escape writes a module path or version as the cache does: every upper-case
// letter becomes "!" and the lower-case letter, for file systems that do not
// tell the two apart.
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			b.WriteByte('!')
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// download asks the go command, which answers in JSON on standard output.
func download(ctx context.Context, path, version, sum string) (string, error) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("not in the module cache, and the go command is not on the PATH to fetch it: %w", err)
	}
	cmd := exec.CommandContext(ctx, goTool, "mod", "download", "-json", path+"@"+version)
	// Outside of any module the answer does not depend on where the program
	// was started. The checksum database is not asked: sum is checked here.
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GO111MODULE=on", "GOWORK=off", "GONOSUMDB="+path, "PWD="+cmd.Dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runErr := cmd.Run()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	var answer struct{ Dir, Sum, Error string }
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		return "", fmt.Errorf("go mod download: %w: %s", errors.Join(runErr, err), strings.TrimSpace(stderr.String()))
	}
	switch {
	case answer.Error != "":
		return "", fmt.Errorf("go mod download: %s", answer.Error)
	case runErr != nil:
		return "", fmt.Errorf("go mod download: %w: %s", runErr, strings.TrimSpace(stderr.String()))
	case answer.Sum != sum:
		return "", fmt.Errorf("checksum is %s, want %s: the module cache or the proxy holds other files; go clean -modcache removes them",
			answer.Sum, sum)
	case answer.Dir == "":
		return "", errors.New("go mod download named no folder")
	}
	return answer.Dir, nil
}
