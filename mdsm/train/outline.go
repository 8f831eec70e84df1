package train

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
)

// Outline says what a run of any kind trains.
type Outline struct {
	Model  string            // the network, or the file of the model
	Data   string            // a data set's name, or a path
	Steps  int               // of the whole run
	Values map[string]string // every setting as text by its path in the file
}

// ReadOutline reads the settings in a run's folder, whichever kind they are. The
// error wraps fs.ErrNotExist where there are none.
func ReadOutline(dir string) (Outline, error) {
	for _, read := range []func(string) (Outline, error){outlineOfEnergy, outlineOfClassifier} {
		if o, err := read(dir); !errors.Is(err, fs.ErrNotExist) {
			return o, err
		}
	}
	return outlineOfFit(dir)
}

func outlineOfEnergy(dir string) (Outline, error) {
	s, err := ReadSettings(dir)
	return Outline{s.Network().String(), s.Data.Name, s.Steps, values(&s)}, err
}

func outlineOfClassifier(dir string) (Outline, error) {
	s, err := ReadClassifierSettings(dir)
	return Outline{s.Network().String(), s.Data.Name, s.Steps, values(&s)}, err
}

func outlineOfFit(dir string) (Outline, error) {
	s, err := ReadFitSettings(dir)
	return Outline{filepath.Base(s.Model.Path), cmp.Or(s.Data.Name, s.Data.Path), s.Steps, values(&s)}, err
}
