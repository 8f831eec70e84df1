package sets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ebm/evaluate"
	"ebm/models/inception"
	"ebm/models/tensor"
	"ebm/models/weights"
	"ebm/runtime"
)

// Network makes features of pictures of one size.
type Network interface {
	Maker() evaluate.FeatureMaker
	Features(ctx context.Context, pictures *tensor.Tensor, done func(pictures int)) (evaluate.FeatureSet, error)
	Close() error
}

// Opener opens one network for pictures of several sizes.
type Opener struct {
	// Prefix begins the names of the metrics that are the network's own:
	// "" for FID, IS and KID, "onnx_" for an ONNX file's.
	Prefix string
	// File is the file of weights and FileHash its SHA-256; both may be empty.
	File, FileHash string
	// Warnings say what is unusual about the network.
	Warnings []string
	// Open loads it for pictures [C H W].
	Open func(rt *runtime.Runtime, channels, height, width int) (Network, error)
}

// The published weights: the name that pytorch-fid's release gives to the
// file, which ends in the first digits of its SHA-256.
const (
	PublishedWeights = "pt_inception-2015-12-05-6726825d.pth"
	publishedHash    = "6726825d"
	// InceptionVariable names the file of weights in the environment.
	InceptionVariable = "EBM_INCEPTION"
)

// ErrNoInception says that there are no Inception weights, and what to do.
var ErrNoInception = errors.New("no weights of the FID Inception network")

// FindInception returns the file of Inception weights: path, or what the
// environment's EBM_INCEPTION names, or the file under its published name in
// the user cache. The error wraps [ErrNoInception] when there is none.
func FindInception(path string) (string, error) {
	if path != "" {
		return path, nil
	}
	if path = os.Getenv(InceptionVariable); path != "" {
		return path, nil
	}
	cached := "the user cache"
	if dir, err := os.UserCacheDir(); err == nil {
		cached = filepath.Join(dir, "ebm", "inception", PublishedWeights)
		if _, err := os.Stat(cached); err == nil {
			return cached, nil
		}
	}
	return "", fmt.Errorf("%w: they are the file %s of pytorch-fid's releases on GitHub (mseitzer/pytorch-fid; its SHA-256 begins with %s), which this program does not fetch. Give it as --inception FILE, name it in %s, or put it at %s; or take any ONNX file as the feature network with --features-onnx FILE",
		ErrNoInception, PublishedWeights, publishedHash, InceptionVariable, cached)
}

// OpenInception reads the weights of the FID Inception network.
func OpenInception(path string, c inception.Convention) (*Opener, error) {
	hash, err := hashFile(path)
	if err != nil {
		return nil, fmt.Errorf("weights of the Inception network: %w", err)
	}
	set, err := weights.Load(path)
	if err != nil {
		return nil, fmt.Errorf("weights of the Inception network: %w", err)
	}
	o := &Opener{File: path, FileHash: hash}
	if !strings.HasPrefix(hash, publishedHash) {
		o.Warnings = []string{fmt.Sprintf("the SHA-256 of the weights' file begins with %s and that of the published one with %s: unless this is a conversion of it, the numbers do not compare with published ones", hash[:8], publishedHash)}
	}
	o.Open = func(rt *runtime.Runtime, channels, height, width int) (Network, error) {
		e, err := evaluate.NewExtractor(rt, evaluate.ExtractorOptions{Weights: set, Convention: c, Channels: channels, Height: height, Width: width})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return e, nil
	}
	return o, nil
}

// OpenONNX takes an ONNX file as the network. The picture's shape and the
// file's hash in the options are filled in.
func OpenONNX(o evaluate.ONNXOptions) (*Opener, error) {
	hash, err := hashFile(o.Path)
	if err != nil {
		return nil, fmt.Errorf("feature network: %w", err)
	}
	// Weights beside the file, as large models keep them, are part of it.
	if beside, err := hashFile(o.Path + ".data"); err == nil {
		sum := sha256.Sum256([]byte(hash + beside))
		hash = hex.EncodeToString(sum[:])
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("feature network: %w", err)
	}
	o.Hash = hash
	return &Opener{
		Prefix: "onnx_", File: o.Path, FileHash: hash,
		Open: func(rt *runtime.Runtime, channels, height, width int) (Network, error) {
			o := o
			o.Channels, o.Height, o.Width = channels, height, width
			return evaluate.NewONNXExtractor(rt, o)
		},
	}, nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
