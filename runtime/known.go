package runtime

import (
	"fmt"
	"slices"
	"strings"
)

// build is a build of ONNX Runtime for one platform that package clients can
// fetch: one package, or two that belong together.
type build struct {
	provider Provider
	version  string
	platform string // GOOS/GOARCH
	parts    []part
}

// part is one package's file. Its SHA-256 was taken from the file as the
// client delivers it.
type part struct {
	client  string // "pip" or "npm"
	name    string
	version string
	tag     string // pip: the wheel's platform
	sha256  string
}

// python returns the wheel's tag of Python and its interface: the plugin needs neither.
func (p part) python() string {
	if p.name == webgpuPackage {
		return "py3-none"
	}
	return "cp311-cp311"
}

// file is the name of the file that the client writes.
func (p part) file() string {
	if p.client == "pip" {
		return fmt.Sprintf("%s-%s-%s-%s.whl", strings.ReplaceAll(p.name, "-", "_"), p.version, p.python(), p.tag)
	}
	return fmt.Sprintf("%s-%s.tgz", p.name, p.version)
}

func (p part) String() string {
	if p.client == "pip" {
		return fmt.Sprintf("%s==%s (pip)", p.name, p.version)
	}
	return fmt.Sprintf("%s@%s (npm)", p.name, p.version)
}

// knownBuilds lists the builds, the preferred ones first.
func knownBuilds() []build {
	const (
		linux, linuxARM = "linux/amd64", "linux/arm64"
		mac, windows    = "darwin/arm64", "windows/amd64"
		glibc, glibcARM = "manylinux_2_28_x86_64", "manylinux_2_28_aarch64"
	)
	wheel := func(name, version, tag, sha256 string) []part {
		return []part{{"pip", name, version, tag, sha256}}
	}
	node := func(version, sha256 string) part { return part{"npm", "onnxruntime-node", version, "", sha256} }
	builds := []build{
		{CPU, "1.32.0", linux, wheel("onnxruntime", "1.32.0", glibc, "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d")},
		{CPU, "1.32.0", linuxARM, wheel("onnxruntime", "1.32.0", glibcARM, "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c")},
		{CPU, "1.32.0", mac, wheel("onnxruntime", "1.32.0", "macosx_14_0_arm64",
			"366b9e53d07812cc5c92822cecf7563b76a8a0f32ba3bb8dd232a206ac3bcb6c")},
		{CPU, "1.32.0", windows, wheel("onnxruntime", "1.32.0", "win_amd64", "d7e0c45cc5f456ad7805e6dd256a7662736cda9c2fd17becae194eb3c2f6df72")},
		{CUDA, "1.31.1", linux, wheel("onnxruntime-gpu", "1.31.1", glibc, "e26c475fe361b2015f45b4b824bd13f0bb20204e59b62814e6f0acd5f3d491a6")},
		{CUDA, "1.31.1", windows, wheel("onnxruntime-gpu", "1.31.1", "win_amd64",
			"fd98341ba71c093153f0dcfc53eb69d57f706866fb45e94e5b0cde5d97a50dbf")},
		{CUDA, "1.29.0", linux, wheel("onnxruntime-gpu", "1.29.0", glibc, "de3caf93887ba4ad51c7d3cab04c7b464f9dd93c51047be5bfb413fd4a191e6a")},
		{CUDA, "1.29.0", linux, []part{
			node("1.29.0", "cfdfb45ec4044b1fdca43e5d2e180fb6817e649ff8ad1e0dfc90e18e51b67037"),
			{"npm", "com.github.asus4.onnxruntime.linux-x64-gpu", "0.4.9", "", "2b459e0c17f340c92970c10ed86de4f37a3009f93c14053e6ad4334cbb6be412"},
		}},
	}
	for platform, plugin := range map[string]part{
		linux:    {"pip", webgpuPackage, "0.4.0", glibc, "5d8c961eda91a88961cad1fb7621f389f006b18497d6ea9ecf96f729f066cbfb"},
		linuxARM: {"pip", webgpuPackage, "0.4.0", glibcARM, "17f660db53b1a509c63e721ac6784a2daa1c4e91a968523ee9986505ee5b0a55"},
		mac:      {"pip", webgpuPackage, "0.4.0", "macosx_14_0_universal2", "8d0a91d44b43d931c3068b9134aed9770f27803e353c2b58c93e1700bb68bcca"},
		windows:  {"pip", webgpuPackage, "0.4.0", "win_amd64", "7db646669d1a2390551da675115ea125e68cb3d4d2c3a2d6e463372bf8d6ea87"},
	} {
		main := builds[slices.IndexFunc(builds, func(b build) bool { return b.platform == platform })]
		builds = append(builds, build{WebGPU, main.version, platform, []part{main.parts[0], plugin}})
	}
	for _, platform := range []string{linux, linuxARM, mac, windows, "windows/arm64"} {
		builds = append(builds, build{CPU, "1.30.0", platform,
			[]part{node("1.30.0", "6e3390d6b783e7be946fad629292799da28d0b42f84856e50d2c1b0383291e75")}})
	}
	return builds
}

// selectBuilds returns the builds for a platform and provider, of one version
// unless that is "".
func selectBuilds(builds []build, provider Provider, version, platform string) ([]build, error) {
	var selected []build
	var versions []string
	for _, b := range builds {
		if b.provider != provider || b.platform != platform {
			continue
		}
		if version == "" || b.version == version {
			selected = append(selected, b)
		}
		if !slices.Contains(versions, b.version) {
			versions = append(versions, b.version)
		}
	}
	switch {
	case len(versions) == 0:
		return nil, fmt.Errorf("no %s build of ONNX Runtime is known for %s: give the file of one", provider, platform)
	case len(selected) == 0:
		return nil, fmt.Errorf("no %s build of ONNX Runtime %s is known for %s, only %s: give the file of one",
			provider, version, platform, strings.Join(versions, " and "))
	}
	return selected, nil
}
