package dataset

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ebm/internal/files"
)

const (
	cifarSide   = 32
	cifarPixels = 3 * cifarSide * cifarSide
	cifarWanted = "want the binary version: cifar-10-binary.tar.gz, or the data_batch_1.bin … test_batch.bin in it, or a folder of 32x32 " +
		"pictures with a folder for each class"
)

// cifarFiles are the files of a split in their order, and the number of
// pictures that the official ones hold together.
func cifarFiles(split Split) (names []string, official int) {
	if split == Test {
		return []string{"test_batch.bin"}, 10000
	}
	for i := 1; i <= 5; i++ {
		names = append(names, fmt.Sprintf("data_batch_%d.bin", i))
	}
	return names, 50000
}

// records is what a binary file holds: planes in red, green, blue order, and
// the labels.
type records struct {
	pixels []uint8 // [n, 3, 32, 32]
	labels []uint16
}

// loadCIFAR10 reads the binary archive, its unpacked files or a folder of
// pictures.
func loadCIFAR10(ctx context.Context, spec Spec) (*Set, error) {
	if spec.Dir == "" {
		return nil, errors.New("name the folder or archive with --data; " + cifarWanted)
	}
	info, err := os.Stat(spec.Dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return loadCIFARArchive(ctx, spec, spec.Dir)
	}
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(spec.Dir, name))
		return err == nil
	}
	names, _ := cifarFiles(spec.Split)
	switch {
	case has(names[0]):
		return loadCIFARFolder(ctx, spec, spec.Dir)
	case has("cifar-10-batches-bin"):
		return loadCIFARFolder(ctx, spec, filepath.Join(spec.Dir, "cifar-10-batches-bin"))
	case has("cifar-10-binary.tar.gz"):
		return loadCIFARArchive(ctx, spec, filepath.Join(spec.Dir, "cifar-10-binary.tar.gz"))
	case has("cifar-10-python.tar.gz") || has("cifar-10-batches-py") || has("data_batch_1"):
		return nil, errPickled(spec.Dir)
	}
	return loadClassFolders(ctx, spec, cifarSide)
}

func errPickled(at string) error {
	return fmt.Errorf("%s holds the Python version of CIFAR-10, whose pickled files are programs and are not run; %s", at, cifarWanted)
}

// loadCIFARFolder reads the .bin files of a split.
func loadCIFARFolder(ctx context.Context, spec Spec, folder string) (*Set, error) {
	names, _ := cifarFiles(spec.Split)
	parts := map[string]records{}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		part, err := files.Read(filepath.Join(folder, name), readCIFAR)
		if err != nil {
			return nil, err
		}
		parts[name] = part
	}
	return cifarSet(spec, folder, parts)
}

// loadCIFARArchive reads the .bin files of a split out of a .tar.gz file, to
// its end so that gzip's own checksum is seen to be right.
func loadCIFARArchive(ctx context.Context, spec Spec, name string) (*Set, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	if head, _ := in.Peek(2); !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return nil, fmt.Errorf("%s starts with % x, which is not gzip; %s", name, head, cifarWanted)
	}
	unzipped, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, short(err))
	}
	wanted, _ := cifarFiles(spec.Split)
	parts := map[string]records{}
	archive := tar.NewReader(unzipped)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, short(err))
		}
		base := path.Base(header.Name)
		if base == "data_batch_1" {
			return nil, errPickled(name)
		}
		if !slices.Contains(wanted, base) {
			continue
		}
		part, err := readCIFAR(archive)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", name, header.Name, err)
		}
		parts[base] = part
	}
	if _, err := io.Copy(io.Discard, unzipped); err != nil {
		return nil, fmt.Errorf("%s: %w", name, short(err))
	}
	return cifarSet(spec, name, parts)
}

// readCIFAR reads records to the end of r: one byte of label and 3072 of
// pixels each.
func readCIFAR(r io.Reader) (records, error) {
	var part records
	record := make([]byte, 1+cifarPixels)
	for {
		n, err := io.ReadFull(r, record)
		switch {
		case n == 0 && errors.Is(err, io.EOF):
			if len(part.labels) == 0 {
				return records{}, errors.New("the file is empty")
			}
			return part, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return records{}, fmt.Errorf("ends %d bytes into record %d, want records of %d bytes each", n, len(part.labels), len(record))
		case err != nil:
			return records{}, err
		case record[0] > 9:
			return records{}, fmt.Errorf("label %d is %d, want 0…9", len(part.labels), record[0])
		}
		part.labels = append(part.labels, uint16(record[0]))
		part.pixels = append(part.pixels, record[1:]...)
	}
}

// cifarSet puts the files of a split together in their order.
func cifarSet(spec Spec, source string, parts map[string]records) (*Set, error) {
	names, official := cifarFiles(spec.Split)
	var missing []string
	n := 0
	for _, name := range names {
		part, ok := parts[name]
		if !ok {
			missing = append(missing, name)
		}
		n += len(part.labels)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s lacks %s", source, strings.Join(missing, ", "))
	}
	all := records{make([]uint8, 0, n*cifarPixels), make([]uint16, 0, n)}
	for _, name := range names {
		all.pixels = append(all.pixels, parts[name].pixels...)
		all.labels = append(all.labels, parts[name].labels...)
	}
	set := &Set{Source: source, Channels: 3, Labels: all.labels, Classes: []string{
		"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}}
	if n != official {
		set.Notes = append(set.Notes, fmt.Sprintf("%s holds %d %v pictures, the official files %d.", source, n, spec.Split, official))
	}
	return set, set.take(all.pixels, cifarSide, spec, colourSizes())
}
