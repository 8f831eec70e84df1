package runtime

import (
	"cmp"
	"debug/elf"
	"ebm/internal/files"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
)

// minVersion is the oldest ONNX Runtime that has the C interface the binding
// asks for: interface 24 came with 1.24.
const minVersion = "1.24.0"

var versionPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)

func isVersion(s string) bool { return versionPattern.MatchString(s) }

// compareVersions orders strings by the numbers in them, from left to right.
func compareVersions(a, b string) int {
	x, y := numbers(a), numbers(b)
	for i := range min(len(x), len(y)) {
		if c := cmp.Compare(x[i], y[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

func numbers(s string) []int {
	var list []int
	for _, field := range strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(field); err == nil {
			list = append(list, n)
		}
	}
	return list
}

func tooOld(version string) string {
	if version == "" {
		return fmt.Sprintf("is older than ONNX Runtime %s, the oldest that can be used", minVersion)
	}
	return fmt.Sprintf("is ONNX Runtime %s, want %s or newer", version, minVersion)
}

// inspect looks into the library's file before the process loads it: whether
// it is a library for this machine, and of which version where the file says.
func (l *library) inspect() error {
	wrong := func(problem string, err error) error {
		return &LibraryError{Path: l.path, Source: l.source, Problem: problem, Err: err, Remedy: remedyInstall}
	}
	f, err := files.Open(l.path)
	if err != nil {
		return wrong("cannot be read", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return wrong("is not a regular file", err)
	}
	if goruntime.GOOS != "linux" {
		return l.inspectText()
	}
	object, err := elf.NewFile(f)
	if err != nil {
		return wrong("is not a Linux shared library", errors.Unwrap(err))
	}
	if problem := foreign(object); problem != "" {
		return wrong(problem, nil)
	}
	if of, own := neededCLibrary(object), cLibrary(); of != "" && of != own {
		return &LibraryError{Path: l.path, Source: l.source,
			Problem: fmt.Sprintf("is for systems with %s, and this program was built for one with %s", of, own),
			Remedy: fmt.Sprintf("build and run the program where the C library is %s, or name an ONNX Runtime for %s with %s",
				of, own, libraryVariable)}
	}
	if version := elfVersion(object); version != "" {
		l.version = version
		if compareVersions(version, minVersion) < 0 {
			return wrong(tooOld(version), nil)
		}
	}
	return nil
}

// inspectText finds the version among the texts in the file, for the formats
// that are not looked into. What else is wrong, the loader will say.
func (l *library) inspectText() error {
	found, err := embeddedVersions(l.path)
	if err != nil || len(found) != 1 {
		return nil
	}
	l.version = found[0]
	if compareVersions(l.version, minVersion) < 0 {
		return &LibraryError{Path: l.path, Source: l.source, Problem: tooOld(l.version), Remedy: remedyInstall}
	}
	return nil
}

// foreign says why an object file is not for this machine, or "".
func foreign(f *elf.File) string {
	machine, ok := map[string]elf.Machine{
		"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "arm": elf.EM_ARM, "386": elf.EM_386,
		"riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390, "loong64": elf.EM_LOONGARCH,
	}[goruntime.GOARCH]
	if f.Type != elf.ET_DYN {
		return fmt.Sprintf("is no shared library (type %v)", f.Type)
	}
	if ok && f.Machine != machine {
		return fmt.Sprintf("is for another processor (%v), want %v", f.Machine, machine)
	}
	return ""
}

// The C libraries of Linux. A shared library for one does not load with the other.
const (
	glibc = "glibc"
	musl  = "musl"
)

// neededCLibrary is the C library that a shared library wants, "" where it says none.
func neededCLibrary(f *elf.File) string {
	needed, err := f.ImportedLibraries()
	if err != nil {
		return ""
	}
	for _, name := range needed {
		switch {
		case name == "libc.so.6":
			return glibc
		case strings.HasPrefix(name, "libc.musl-"):
			return musl
		}
	}
	return ""
}

// elfVersion is the version of an ONNX Runtime library: it names its symbols'
// version VERS_1.28.2. It is "" where there is no such name.
func elfVersion(f *elf.File) string {
	definitions, err := f.DynamicVersions()
	if err != nil {
		return ""
	}
	for _, d := range definitions {
		if version, ok := strings.CutPrefix(d.Name, "VERS_"); ok && isVersion(version) {
			return version
		}
	}
	return ""
}

var embeddedVersion = regexp.MustCompile(`\x00(1\.[0-9]{2,3}\.[0-9]{1,3})\x00`)

// embeddedVersions returns the strings in a library's file that may be its
// version, where the file format does not tell it: those that look like one of
// ONNX Runtime's and stand alone.
func embeddedVersions(path string) ([]string, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := map[string]bool{}
	buf, kept := make([]byte, 1<<20), 0
	for {
		n, err := f.Read(buf[kept:])
		window := buf[:kept+n]
		rest := window
		for at := embeddedVersion.FindSubmatchIndex(rest); at != nil; at = embeddedVersion.FindSubmatchIndex(rest) {
			found[string(rest[at[2]:at[3]])] = true
			rest = rest[at[3]:] // the closing zero may open the next one
		}
		if errors.Is(err, io.EOF) {
			return slices.Sorted(maps.Keys(found)), nil
		}
		if err != nil {
			return nil, err
		}
		kept = copy(buf, window[max(0, len(window)-32):]) // one may lie across two reads
	}
}
