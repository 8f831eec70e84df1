package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// fetch brings the files of the first of builds that can be had into dir,
// through the package clients that this machine has, and checks their
// SHA-256. Nothing of a package is run.
func fetch(ctx context.Context, builds []build, dir string, log func(string)) ([]string, error) {
	var failures []error
	for _, b := range builds {
		files, err := fetchBuild(ctx, b, dir, log)
		if err == nil {
			return files, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func fetchBuild(ctx context.Context, b build, dir string, log func(string)) ([]string, error) {
	var files []string
	for _, p := range b.parts {
		command, err := client(ctx, p.client)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", p, err)
		}
		log(fmt.Sprintf("fetching %v", p))
		if err := download(ctx, command, p, dir); err != nil {
			return nil, fmt.Errorf("%v: %w", p, err)
		}
		path := filepath.Join(dir, p.file())
		sum, err := fileSHA256(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("%v: the client wrote no %s: %w", p, p.file(), err)
		}
		if sum != p.sha256 {
			return nil, fmt.Errorf("%v: %s has SHA-256 %s, want %s", p, p.file(), sum, p.sha256)
		}
		files = append(files, path)
	}
	return files, nil
}

// client returns the command line that starts a package client.
func client(ctx context.Context, name string) ([]string, error) {
	candidates := [][]string{{"npm"}}
	if name == "pip" {
		candidates = [][]string{{"pip3"}, {"pip"}, {"python3", "-m", "pip"}, {"python", "-m", "pip"}, {"py", "-m", "pip"}}
	}
	for _, c := range candidates {
		program, err := exec.LookPath(c[0])
		if err != nil {
			continue
		}
		// A name on the PATH may stand for nothing (a shim without a version).
		command := append([]string{program}, c[1:]...)
		if exec.CommandContext(ctx, command[0], append(command[1:], "--version")...).Run() == nil {
			return command, nil
		}
	}
	return nil, fmt.Errorf("no %s on the PATH", name)
}

func download(ctx context.Context, command []string, p part, dir string) error {
	args := command[1:]
	if p.client == "pip" {
		args = append(args, "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps",
			"--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
			"--platform", p.tag, "--dest", dir, p.name+"=="+p.version)
	} else {
		args = append(args, "pack", "--silent", "--ignore-scripts", "--pack-destination", dir, p.name+"@"+p.version)
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], args...)
	cmd.Dir = dir // outside of any project, whose settings are not meant
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(command[0]), err, lastLine(output.String()))
	}
	return nil
}

// lastLine is the last line of a program's output that says something.
func lastLine(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if line := strings.TrimSpace(lines[i]); line != "" && !strings.HasPrefix(line, "[notice]") {
			return line
		}
	}
	return "it said nothing"
}
