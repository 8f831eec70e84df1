package features

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ebm/internal/testkit"
)

func TestFindInception(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv(InceptionVariable, "")
	_, err := FindInception("")
	if !errors.Is(err, ErrNoInception) || !strings.Contains(err.Error(), PublishedWeights) ||
		!strings.Contains(err.Error(), "--features-onnx") {
		t.Errorf("%v", err)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cached := filepath.Join(dir, "ebm", "inception", PublishedWeights)
	testkit.Mkdir(t, filepath.Dir(cached))
	testkit.Write(t, cached, []byte("x"))
	if got, err := FindInception(""); got != cached || err != nil {
		t.Errorf("%s, %v, want %s", got, err, cached)
	}
	t.Setenv(InceptionVariable, "named.pth")
	if got, err := FindInception(""); got != "named.pth" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := FindInception("given.pth"); got != "given.pth" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := InceptionFile(cached, "", Recipe{}); err == nil {
		t.Error("a file that holds no weights: no error")
	}
}

// The identity of networks is what files of version 0.1 call them.
func TestIdentityIsText(t *testing.T) {
	for text, want := range map[string]Identity{
		"fid-inception": {Kind: Inception}, "onnx": {Kind: ONNX}, "pixels": {Kind: Pixels}, "mnist-classifier": {Kind: Classifier, Data: "mnist"},
		"fashion-mnist-classifier": {Kind: Classifier, Data: "fashion-mnist"}, "": {}, "another": {Kind: "another"},
		"fid-inception:inception-768": {Kind: Inception, Recipe: "inception-768"}, "onnx:clip": {Kind: ONNX, Recipe: "clip"},
	} {
		var got Identity
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%q is %+v, %q again, %v, want %+v", text, got, got, err, want)
		}
	}
	m := Maker{Network: Identity{Kind: Classifier, Data: "mnist"}, Weights: "ab", Features: 64}
	if got := string(m.JSON()); got != `{"network":"mnist-classifier","weights_sha256":"ab","features":64}` {
		t.Errorf("keys of the cache begin with %s", got)
	}
}
