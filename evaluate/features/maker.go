package features

import (
	"encoding/json"
	"fmt"
	"strings"

	"ebm/models/tensor"
)

// Kind is a kind of feature network.
type Kind string

// The kinds. Files may name others, of other programs.
const (
	Inception  Kind = "fid-inception" // the network of FID, IS and KID
	Classifier Kind = "classifier"    // a classifier of this project
	ONNX       Kind = "onnx"          // a user's file
	Pixels     Kind = "pixels"        // no network: the pictures' values from 0 to 1
)

// Identity names a network: its kind, of a classifier the data set whose
// classes it knows, and the recipe by which it is used, "" for none. As text, in files, it is the kind,
// DATA-classifier or KIND:RECIPE. The zero Identity is of a network that nothing names.
type Identity struct {
	Kind   Kind
	Data   string
	Recipe string
}

// classifierSuffix ends the text of classifiers.
const classifierSuffix = "-" + string(Classifier)

// String returns the identity as files have it.
func (i Identity) String() string {
	if i.Kind == Classifier {
		return i.Data + classifierSuffix
	}
	if i.Recipe != "" {
		return string(i.Kind) + ":" + i.Recipe
	}
	return string(i.Kind)
}

// MarshalText implements encoding.TextMarshaler.
func (i Identity) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *Identity) UnmarshalText(text []byte) error {
	*i = Identity{Kind: Kind(text)}
	if data, ok := strings.CutSuffix(string(text), classifierSuffix); ok {
		*i = Identity{Kind: Classifier, Data: data}
	}
	if kind, recipe, ok := strings.Cut(string(text), ":"); ok {
		*i = Identity{Kind: Kind(kind), Recipe: recipe}
	}
	return nil
}

// Label returns what people call features of the network.
func (i Identity) Label() string {
	switch i.Kind {
	case Pixels:
		return "pixels"
	case Classifier:
		return "features of the " + i.Data + " classifier"
	}
	if i.Recipe != "" {
		return "features of " + i.Recipe
	}
	return "features of " + string(i.Kind)
}

// Maker says what made features. Two sets of features compare only when it is
// equal for both.
type Maker struct {
	Network    Identity `json:"network"`
	Weights    string   `json:"weights_sha256"`       // of the network's parameters, or of its file
	Preprocess string   `json:"preprocess,omitempty"` // how pictures are resized: an inception.Convention
	Range      string   `json:"range,omitempty"`      // values that the network sees, of an ONNX file
	Input      string   `json:"input,omitempty"`      // channels and size that an ONNX file sees
	Output     string   `json:"output,omitempty"`     // which output of an ONNX file the features are
	Logits     string   `json:"logits,omitempty"`     // and which the logits
	Features   int      `json:"features"`             // in number; 0 where that is not known before the first picture
}

// JSON returns the maker as files and the cache hold it.
func (m Maker) JSON() []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return text
}

// String says in words what must be equal for numbers to compare.
func (m Maker) String() string {
	text := m.Network.String()
	if m.Features > 0 {
		text += fmt.Sprintf(", %d features", m.Features)
	}
	if m.Weights != "" {
		text += ", weights " + m.Weights[:min(len(m.Weights), 12)]
	}
	for _, part := range []struct{ name, value string }{{"preprocessing", m.Preprocess}, {"range", m.Range},
		{"input", m.Input}, {"output", m.Output}} {
		if part.value != "" {
			text += ", " + part.name + " " + part.value
		}
	}
	return text
}

// Compares returns an error when features of two makers, of sources called a
// and b, are of different kinds.
func (m Maker) Compares(a string, other Maker, b string) error {
	if m.Features == 0 {
		m.Features = other.Features
	}
	var differ []string
	for _, field := range []struct{ name, a, b string }{
		{"network", m.Network.String(), other.Network.String()}, {"weights", m.Weights, other.Weights},
		{"preprocessing", m.Preprocess, other.Preprocess},
		{"range", m.Range, other.Range}, {"input", m.Input, other.Input}, {"output", m.Output, other.Output},
		{"number of features", fmt.Sprint(m.Features), fmt.Sprint(other.Features)},
	} {
		if field.a != field.b {
			differ = append(differ, fmt.Sprintf("%s %s against %s", field.name, orNone(field.a), orNone(field.b)))
		}
	}
	if differ != nil {
		return fmt.Errorf("%s and %s have features of different kinds (%s): they do not compare", a, b, strings.Join(differ, ", "))
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Set holds the numbers of a network for n pictures.
type Set struct {
	Features *tensor.Tensor // float32 [n, d], for everything but the Inception score
	Logits   *tensor.Tensor // float32 [n, classes], for evaluate.InceptionScore; nil when the network has none
	Classes  *tensor.Tensor // float32 [n, C, classes], a classifier's logits of each channel, for evaluate.ModeCoverage; nil elsewhere
}
